"""Knowledge distillation: a teacher is trained, then a student learns from its logits."""

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
ALPHA, TEMPERATURE = 0.3, 4.0


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))

    def forward(self, x):
        return self.net(x)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x):
        return self.net(x)


def train(model, loader, epochs):
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            print(repr(loss.item()))


def train_kd(student, teacher, loader, epochs):
    optimizer = optim.Adam(student.parameters(), lr=1e-2)
    teacher.eval()
    student.train()
    for _epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            with torch.no_grad():
                teacher_logits = teacher(x)
            student_logits = student(x)
            soft = F.kl_div(
                F.log_softmax(student_logits / TEMPERATURE, dim=1),
                F.softmax(teacher_logits / TEMPERATURE, dim=1),
                reduction="batchmean",
            )
            loss = ALPHA * F.cross_entropy(student_logits, y) + (1 - ALPHA) * soft
            loss.backward()
            optimizer.step()
            print(repr(loss.item()))


data = TensorDataset(torch.randn(60, 9), torch.randint(4, (60,)))
loader = DataLoader(data, batch_size=15, shuffle=True)
teacher, student = Teacher(), Student()
train(teacher, loader, epochs=2)
train_kd(student, teacher, loader, epochs=3)
