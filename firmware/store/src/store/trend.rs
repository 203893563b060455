//! How many answers of which kind came when.

use super::answers::bounded;
use super::{Answers, ReadError};
use rusqlite::params;
use std::collections::BTreeMap;

/// Equal spans of time to count in. For days by local time, let the first begin at a local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trend {
    /// Where the first begins, in milliseconds since 1970-01-01 UTC.
    pub from_unix_ms: u64,
    /// How long each is, in milliseconds; not 0.
    pub bucket_ms: u64,
    /// How many.
    pub n_buckets: usize,
}

/// One span of time and the answers in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Where it begins, in milliseconds since 1970-01-01 UTC.
    pub from_unix_ms: u64,
    /// Answers by class.
    pub classes: BTreeMap<String, u64>,
    /// Answers "cannot say".
    pub cannot_say: u64,
    /// Images that could not be read.
    pub unreadable: u64,
}

impl Bucket {
    /// All answers in it.
    pub fn total(&self) -> u64 {
        self.classes.values().sum::<u64>() + self.cannot_say + self.unreadable
    }
}

const COUNTS: &str = "
    SELECT (unix_ms - ?1) / ?2 AS bucket, decision, CASE decision WHEN 'class' THEN class_name END AS class, count(*)
    FROM answers WHERE unix_ms >= ?1 AND unix_ms < ?3 GROUP BY bucket, decision, class";

impl Answers {
    /// Counts answers in equal spans of time; spans without answers are there too.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// # Panics
    /// If the spans are 0 ms long.
    pub fn trend(&self, trend: &Trend) -> Result<Vec<Bucket>, ReadError> {
        assert!(trend.bucket_ms > 0, "spans of 0 ms");
        let start = |at: usize| trend.from_unix_ms.saturating_add(trend.bucket_ms.saturating_mul(at as u64));
        let mut buckets: Vec<_> =
            (0..trend.n_buckets).map(|at| Bucket { from_unix_ms: start(at), ..Bucket::default() }).collect();
        let span = [trend.from_unix_ms, trend.bucket_ms, start(trend.n_buckets)].map(bounded);
        let mut statement = self.connection.prepare(COUNTS)?;
        let mut rows = statement.query(params![span[0], span[1], span[2]])?;
        while let Some(row) = rows.next()? {
            let at = usize::try_from(row.get::<_, i64>(0)?).ok();
            let Some(bucket) = at.and_then(|at| buckets.get_mut(at)) else { continue };
            let n = row.get::<_, i64>(3)?.unsigned_abs();
            match (row.get::<_, String>(1)?.as_str(), row.get(2)?) {
                ("class", Some(class)) => *bucket.classes.entry(class).or_default() += n,
                ("cannot_say", _) => bucket.cannot_say += n,
                _ => bucket.unreadable += n,
            }
        }
        Ok(buckets)
    }
}
