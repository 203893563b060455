//! Answers and the audit log of a device, on disk before anybody hears of them.
//!
//! A [`Store`] keeps one record an answer in an SQLite file; an [`Audit`] keeps what changes the device's behaviour in a
//! hash-chained text file. Both are durable when an append returns, both keep a second writer out, and both can be
//! opened again after a power cut at any moment. Formats, the order of syncs and the limits are in `STORE.md`.
//!
//! Nothing here reads a clock, decides when to retry or knows what an image is. No patient data: an image is a hash.

// The sample answers of tests/ name this crate as any user does.
#[cfg(test)]
extern crate self as remedis_store;

mod answer;
mod audit;
mod fault;
mod lock;
mod store;
pub mod torn;

pub use answer::{Answer, Best, GateResult, ModelId, Request, Trace, Verdict};
pub use audit::{
    Audit, AuditError, AuditHead, AuditOpened, Changed, Event, Finding, InForce, Moment, OpenAuditError, TornTail,
    Values, Verified, verify,
};
pub use store::{
    AgeRule, Answers, AppendError, Bucket, Clock, ExportError, OpenStoreError, Opened, Range, ReadError, Record,
    Retained, Retention, Store, Trend,
};
