"""Print pip's option for the index of PyTorch's CPU builds, where that answers within seconds.

On Linux the default index has builds that bring gigabytes of GPU libraries, which nothing here
uses. Arguments are the requirement; an option among them says that somebody has chosen an index.
"""

import subprocess
import sys

INDEX = "https://download.pytorch.org/whl/cpu"
SECONDS = 5
_ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2]))"


def answers(url: str, seconds: float) -> bool:
    """Return whether `url` answers in time, in a process of its own: resolvers have no timeout."""
    words = [sys.executable, "-c", _ASK, url, str(seconds)]
    try:
        done = subprocess.run(words, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    is_chosen = any(word.startswith("-") for word in sys.argv[1:])
    if sys.platform == "linux" and not is_chosen and answers(f"{INDEX}/torch/", SECONDS):
        print("--index-url", INDEX)
