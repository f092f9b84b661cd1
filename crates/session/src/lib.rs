//! One client's protocol life as a sans-I/O state machine.
