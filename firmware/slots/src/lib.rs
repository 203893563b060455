//! The models on a device: installed, active, last good one.
