//! The local web page of a device.
