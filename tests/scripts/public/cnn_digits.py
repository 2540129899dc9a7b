"""Train a small CNN on the digits and keep the checkpoint with the best validation accuracy."""

import argparse
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


class DigitsDataset(Dataset):
    def __init__(self, split, transform=None):
        digits = load_digits()
        rows = slice(0, 500) if split == "train" else slice(500, 700)
        self.images = digits.images[rows].astype(np.float32) / 16
        self.targets = digits.target[rows]
        self.transform = transform

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index]).unsqueeze(0)
        if self.transform is not None:
            image = self.transform(image)
        return image, int(self.targets[index])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1, padding=1)
        self.dropout = nn.Dropout(0.25)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(torch.flatten(x, 1))
        return F.log_softmax(self.fc(x), dim=1)


def train(args, model, device, train_loader, optimizer):
    model.train()
    for data, target in train_loader:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        print(repr(loss.item()))
        if args.dry_run:
            break


def validate(model, device, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data.to(device))
            correct += output.argmax(dim=1).eq(target.to(device)).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()

    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    train_loader = DataLoader(DigitsDataset("train"), batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(DigitsDataset("val"), batch_size=100)
    model = Net().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)

    best = 0.0
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = os.path.join(folder, "best.pt")
        for epoch in range(1, args.epochs + 1):
            train(args, model, device, train_loader, optimizer)
            accuracy = validate(model, device, val_loader)
            scheduler.step()
            print(f"epoch {epoch}: accuracy {accuracy:.4f}")
            if accuracy > best:
                best = accuracy
                torch.save({"epoch": epoch, "state_dict": model.state_dict()}, checkpoint)
        model.load_state_dict(torch.load(checkpoint)["state_dict"])


if __name__ == "__main__":
    main()
