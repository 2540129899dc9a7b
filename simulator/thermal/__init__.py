"""Heat and charge over seconds to hours: pure functions of power and time."""
