"""REINFORCE: an episode's actions are drawn with gradients, and one update follows it."""

import argparse
from itertools import count

import numpy as np
import torch
from torch import nn, optim
from torch.distributions import Categorical

parser = argparse.ArgumentParser(description="REINFORCE on a balancing point")
parser.add_argument("--gamma", type=float, default=0.99)
parser.add_argument("--seed", type=int, default=543)
parser.add_argument("--episodes", type=int, default=12)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Balance:
    """A point that runs away from the middle; it is lost beyond 1."""

    def reset(self):
        self.state = np.array([0.05, 0.0, 1.0], dtype=np.float32)
        return self.state

    def step(self, action):
        place, speed, _ = self.state
        speed += 0.05 * place + (0.02 if action else -0.02)
        self.state = np.array([place + speed, speed, 1.0], dtype=np.float32)
        return self.state, 1.0, abs(self.state[0]) > 1


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(3, 16)
        self.dropout = nn.Dropout(p=0.6)
        self.affine2 = nn.Linear(16, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        x = torch.relu(self.dropout(self.affine1(x)))
        return torch.softmax(self.affine2(x), dim=1)


env = Balance()
policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=1e-2)
eps = np.finfo(np.float32).eps.item()


def select_action(state):
    probs = policy(torch.from_numpy(state).float().unsqueeze(0))
    m = Categorical(probs)
    action = m.sample()
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item()


def finish_episode():
    R, returns = 0, []
    for r in policy.rewards[::-1]:
        R = r + args.gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    pairs = zip(policy.saved_log_probs, returns, strict=True)
    loss = torch.cat([-log_prob * r for log_prob, r in pairs]).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(repr(loss.item()))
    del policy.rewards[:]
    del policy.saved_log_probs[:]


actions = 0
for _episode in range(args.episodes):
    state = env.reset()
    for t in count(1):
        state, reward, done = env.step(select_action(state))
        policy.rewards.append(reward)
        if done or t == 60:
            break
    actions += t
    finish_episode()
print("actions", actions)
