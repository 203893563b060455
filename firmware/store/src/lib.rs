//! Answers and the audit log of a device, on disk before anybody hears of them.
