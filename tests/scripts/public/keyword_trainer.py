"""Fine-tune a sentence classifier with a Trainer that calls `model(**batch)`."""

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class ModelOutput:
    loss: torch.Tensor
    logits: torch.Tensor


@dataclass
class TrainingArguments:
    num_train_epochs: int = 2
    per_device_train_batch_size: int = 4
    gradient_accumulation_steps: int = 2
    learning_rate: float = 1e-3
    warmup_steps: int = 3
    max_grad_norm: float = 1.0
    seed: int = 42
    label_names: list = field(default_factory=lambda: ["labels"])


class Sentences(Dataset):
    def __init__(self, size, vocab=50, seed=0):
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(3, 12, (size,), generator=generator).tolist()
        self.rows = [torch.randint(1, vocab, (n,), generator=generator) for n in lengths]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return {"input_ids": self.rows[index], "labels": int(self.rows[index].sum() % 3)}


class DataCollatorWithPadding:
    def __call__(self, features):
        rows = [feature["input_ids"] for feature in features]
        input_ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return {
            "input_ids": input_ids,
            "attention_mask": (input_ids != 0).long(),
            "labels": torch.tensor([feature["labels"] for feature in features]),
        }


class SelfAttention(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads, self.size = heads, hidden // heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)

    def split(self, x):
        return x.view(*x.shape[:2], self.heads, self.size).permute(0, 2, 1, 3)

    def forward(self, hidden_states, attention_mask):
        q, k, v = (self.split(f(hidden_states)) for f in (self.query, self.key, self.value))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.size)
        probs = nn.functional.softmax(scores + attention_mask, dim=-1)
        return torch.matmul(probs, v).permute(0, 2, 1, 3).flatten(2)


class Classifier(nn.Module):
    def __init__(self, vocab=50, hidden=16, heads=2, labels=3):
        super().__init__()
        self.embeddings = nn.Embedding(vocab, hidden, padding_idx=0)
        self.attention = SelfAttention(hidden, heads)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(hidden, labels)

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        extended = (1.0 - attention_mask[:, None, None, :]) * torch.finfo(torch.float32).min
        hidden = self.embeddings(input_ids)
        hidden = self.norm(hidden + self.dropout(self.attention(hidden, extended)))
        logits = self.classifier(hidden[:, 0])
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return ModelOutput(loss=loss, logits=logits)


class Trainer:
    def __init__(self, model, args, train_dataset, eval_dataset, data_collator):
        self.model, self.args, self.data_collator = model, args, data_collator
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min(1.0, (step + 1) / args.warmup_steps)
        )
        self.lengths = {"train": [], "eval": []}

    def get_dataloader(self, dataset, shuffle):
        return DataLoader(
            dataset,
            batch_size=self.args.per_device_train_batch_size,
            shuffle=shuffle,
            collate_fn=self.data_collator,
        )

    def _prepare_inputs(self, inputs, mode):
        self.lengths[mode].append(inputs["input_ids"].shape[1])
        return {key: value.to("cpu") for key, value in inputs.items()}

    def compute_loss(self, model, inputs):
        return model(**inputs).loss

    def training_step(self, inputs):
        self.model.train()
        loss = self.compute_loss(self.model, self._prepare_inputs(inputs, "train"))
        loss = loss / self.args.gradient_accumulation_steps
        loss.backward()
        return loss.detach()

    def train(self):
        loader = self.get_dataloader(self.train_dataset, shuffle=True)
        for epoch in range(self.args.num_train_epochs):
            total = torch.tensor(0.0)
            for step, inputs in enumerate(loader):
                total += self.training_step(inputs)
                if (step + 1) % self.args.gradient_accumulation_steps == 0:
                    nn.utils.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
                    self.optimizer.step()
                    self.lr_scheduler.step()
                    self.model.zero_grad()
                    print(repr(total.item()))
                    total -= total
            print({"epoch": epoch, **self.evaluate()})

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        losses = []
        for inputs in self.get_dataloader(self.eval_dataset, shuffle=False):
            losses.append(self.compute_loss(self.model, self._prepare_inputs(inputs, "eval")))
        return {"eval_loss": torch.stack(losses).mean().item()}


def main():
    args = TrainingArguments()
    torch.manual_seed(args.seed)
    trainer = Trainer(
        model=Classifier(),
        args=args,
        train_dataset=Sentences(48),
        eval_dataset=Sentences(12, seed=1),
        data_collator=DataCollatorWithPadding(),
    )
    trainer.train()
    print("train_lengths", *trainer.lengths["train"])
    print("eval_lengths", *trainer.lengths["eval"])


if __name__ == "__main__":
    main()
