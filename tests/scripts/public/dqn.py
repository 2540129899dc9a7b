"""Deep Q-learning on a corridor: replay memory, epsilon-greedy actions, a target network."""

import random
from collections import deque, namedtuple

import torch
from torch import nn, optim

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward", "done"))
BATCH_SIZE, GAMMA, LR, TARGET_UPDATE = 16, 0.95, 1e-2, 10
random.seed(0)
torch.manual_seed(0)


class Corridor:
    """Walk along `size` cells; the reward is at the right end."""

    def __init__(self, size=6):
        self.size = size

    def reset(self):
        self.place, self.time = 0, 0
        return self.observe()

    def observe(self):
        return torch.tensor([float(self.place == i) for i in range(self.size)])

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        self.time += 1
        goal = self.place == self.size - 1
        return self.observe(), float(goal), goal or self.time == 20


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque([], maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 24)
        self.layer2 = nn.Linear(24, 24)
        self.layer3 = nn.Linear(24, n_actions)

    def forward(self, x):
        x = torch.relu(self.layer1(x))
        x = torch.relu(self.layer2(x))
        return self.layer3(x)


env = Corridor()
policy_net, target_net = DQN(6, 2), DQN(6, 2)
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=LR, amsgrad=True)
memory = ReplayMemory(500)
greedy = learned = 0


def select_action(state, epsilon):
    global greedy
    if random.random() > epsilon:
        greedy += 1
        with torch.no_grad():
            return policy_net(state.unsqueeze(0)).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(2)]], dtype=torch.long)


def optimize_model():
    global learned
    if len(memory) < BATCH_SIZE:
        return
    batch = Transition(*zip(*memory.sample(BATCH_SIZE), strict=True))
    states, next_states = torch.stack(batch.state), torch.stack(batch.next_state)
    actions, rewards = torch.cat(batch.action), torch.tensor(batch.reward)
    values = policy_net(states).gather(1, actions)
    with torch.no_grad():
        next_values = target_net(next_states).max(1).values * (1 - torch.tensor(batch.done))
    loss = nn.SmoothL1Loss()(values, (next_values * GAMMA + rewards).unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
    learned += 1
    print(repr(loss.item()))
    if learned % TARGET_UPDATE == 0:
        target_net.load_state_dict(policy_net.state_dict())


for episode in range(10):
    state, done = env.reset(), False
    while not done:
        action = select_action(state, epsilon=max(0.1, 0.9 - 0.1 * episode))
        next_state, reward, done = env.step(action.item())
        memory.push(state, action, next_state, reward, float(done))
        state = next_state
        optimize_model()

print("greedy", greedy)
print("learned", learned)
