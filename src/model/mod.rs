//! The small language model that words directions, and its training.
