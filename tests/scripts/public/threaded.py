"""Training in a thread of its own, with progress through a queue; evaluation in the main one."""

import queue
import threading

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TrainingThread(threading.Thread):
    def __init__(self, model, loader, epochs, progress):
        super().__init__(name="training")
        self.model, self.loader, self.epochs, self.progress = model, loader, epochs, progress
        self.optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def run(self):
        self.model.train()
        for _epoch in range(self.epochs):
            for x, y in self.loader:
                self.optimizer.zero_grad()
                loss = nn.functional.mse_loss(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.progress.put(loss.item())
        self.progress.put(None)


torch.manual_seed(13)
x = torch.randn(50, 6)
dataset = TensorDataset(x, x.pow(2).sum(1, keepdim=True))
model = nn.Sequential(nn.Linear(6, 20), nn.GELU(), nn.Linear(20, 1))
progress = queue.Queue()
thread = TrainingThread(model, DataLoader(dataset, 10, shuffle=True), 3, progress)
thread.start()
while (value := progress.get()) is not None:
    print(repr(value))
thread.join()
model.eval()
with torch.no_grad():
    print(f"{nn.functional.mse_loss(model(x), dataset.tensors[1]):.4f}")
