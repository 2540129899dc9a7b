"""Distributed data parallel in one process over gloo, with a distributed sampler."""

import os
import tempfile

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler


class MyTrainDataset(Dataset):
    def __init__(self, size):
        self.size = size
        self.data = [(torch.rand(20), torch.rand(1)) for _ in range(size)]

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return self.data[index]


class Trainer:
    def __init__(self, model, train_data, optimizer):
        self.train_data = train_data
        self.optimizer = optimizer
        self.model = DDP(model)

    def _run_batch(self, source, targets):
        self.optimizer.zero_grad()
        output = self.model(source)
        loss = nn.functional.mse_loss(output, targets)
        loss.backward()
        self.optimizer.step()
        print(repr(loss.item()))

    def _run_epoch(self, epoch):
        self.train_data.sampler.set_epoch(epoch)
        for source, targets in self.train_data:
            self._run_batch(source, targets)

    def train(self, max_epochs):
        for epoch in range(max_epochs):
            self._run_epoch(epoch)


def main(total_epochs=3, batch_size=8):
    torch.manual_seed(0)
    rank = int(os.environ.get("RANK", 0))
    with tempfile.NamedTemporaryFile() as store:
        method = f"file://{store.name}"
        dist.init_process_group("gloo", init_method=method, rank=rank, world_size=1)
        dataset = MyTrainDataset(44)
        model = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
        sampler = DistributedSampler(dataset, num_replicas=1, rank=rank)
        loader = DataLoader(dataset, batch_size=batch_size, shuffle=False, sampler=sampler)
        Trainer(model, loader, optimizer).train(total_epochs)
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
