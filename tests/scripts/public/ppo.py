"""Proximal policy optimisation on a random walk, in one file."""

import argparse

import numpy as np
import torch
from torch import nn, optim
from torch.distributions.categorical import Categorical


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--num-iterations", type=int, default=3)
    parser.add_argument("--num-envs", type=int, default=4)
    parser.add_argument("--num-steps", type=int, default=8)
    parser.add_argument("--update-epochs", type=int, default=2)
    parser.add_argument("--num-minibatches", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=2.5e-3)
    parser.add_argument("--clip-coef", type=float, default=0.2)
    parser.add_argument("--ent-coef", type=float, default=0.01)
    parser.add_argument("--gamma", type=float, default=0.99)
    return parser.parse_args()


def layer_init(layer, std=np.sqrt(2), bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self, observations=3, actions=2):
        super().__init__()
        self.critic = nn.Sequential(
            layer_init(nn.Linear(observations, 16)), nn.Tanh(), layer_init(nn.Linear(16, 1), 1.0)
        )
        self.actor = nn.Sequential(
            layer_init(nn.Linear(observations, 16)),
            nn.Tanh(),
            layer_init(nn.Linear(16, actions), 0.01),
        )

    def get_value(self, x):
        return self.critic(x)

    def get_action_and_value(self, x, action=None):
        probs = Categorical(logits=self.actor(x))
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action), probs.entropy(), self.critic(x)


class Walks:
    """Several points on a line, paid for being near its middle."""

    def __init__(self, count, rng):
        self.rng, self.place = rng, rng.normal(size=count)

    def observe(self):
        state = np.stack([self.place, np.sin(self.place), np.ones_like(self.place)], 1)
        return torch.tensor(state, dtype=torch.float32)

    def step(self, action):
        self.place += 0.5 * (2 * action - 1) + 0.1 * self.rng.normal(size=len(action))
        return self.observe(), torch.tensor(-np.abs(self.place), dtype=torch.float32)


args = parse_args()
batch_size = args.num_envs * args.num_steps
rng = np.random.default_rng(args.seed)
torch.manual_seed(args.seed)
envs = Walks(args.num_envs, rng)
agent = Agent()
optimizer = optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

obs = torch.zeros((args.num_steps, args.num_envs, 3))
actions, logprobs, rewards, values = (torch.zeros((args.num_steps, args.num_envs)) for _ in "1234")
next_obs = envs.observe()
for iteration in range(1, args.num_iterations + 1):
    frac = 1.0 - (iteration - 1.0) / args.num_iterations
    optimizer.param_groups[0]["lr"] = frac * args.learning_rate
    for step in range(args.num_steps):
        obs[step] = next_obs
        with torch.no_grad():
            action, logprob, _, value = agent.get_action_and_value(next_obs)
            values[step] = value.flatten()
        actions[step], logprobs[step] = action, logprob
        next_obs, rewards[step] = envs.step(action.numpy())
    with torch.no_grad():
        following = agent.get_value(next_obs).flatten()
        returns = torch.zeros_like(rewards)
        for t in reversed(range(args.num_steps)):
            following = returns[t] = rewards[t] + args.gamma * following
        advantages = returns - values

    b_obs, b_actions, b_logprobs = obs.reshape(-1, 3), actions.reshape(-1), logprobs.reshape(-1)
    b_advantages, b_returns = advantages.reshape(-1), returns.reshape(-1)
    for _epoch in range(args.update_epochs):
        b_inds = rng.permutation(batch_size)
        size = batch_size // args.num_minibatches
        for start in range(0, batch_size, size):
            mb = b_inds[start : start + size]
            _, newlogprob, entropy, newvalue = agent.get_action_and_value(
                b_obs[mb], b_actions.long()[mb]
            )
            ratio = (newlogprob - b_logprobs[mb]).exp()
            clipped = torch.clamp(ratio, 1 - args.clip_coef, 1 + args.clip_coef)
            gain = torch.min(b_advantages[mb] * ratio, b_advantages[mb] * clipped).mean()
            v_loss = 0.5 * ((newvalue.view(-1) - b_returns[mb]) ** 2).mean()
            loss = v_loss - gain - args.ent_coef * entropy.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
            print(repr(loss.item()))
