//! Removing old answers, by age and by size, without believing a clock that jumped.
//!
//! Answers are numbered in the order in which they were given, whatever the clock said. So one whose time is not known
//! (clock not trusted, or a time that still lies ahead) goes by age only together with a later one that is old for sure,
//! and none goes that comes after one known to be young.

use super::{Answers, AppendError, Store, checkpoint, empty_log, file, reserve};
use crate::store::answers::bounded;
use rusqlite::{Connection, OptionalExtension, Row, params};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How far a trusted clock may run ahead of the uptime before that counts as a jump.
const JUMP_MS: u64 = 60 * 60 * 1000;
/// Answers removed by one call, so that it ends soon.
const ANSWERS_A_CALL: u64 = 1000;
/// Answers removed by one commit, so that the log stays short.
const ANSWERS_A_COMMIT: u64 = 100;
/// Pages given back to the file system by one commit.
const PAGES_A_COMMIT: u32 = 256;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Answers older than this go, delivered or not.
    pub max_age_days: u32,
    /// Bytes of answers in the file above which the oldest go, except young ones that nobody has received yet.
    pub max_bytes: u64,
}

/// The present, as far as the device knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// Whether the device has reason to believe that.
    pub is_trusted: bool,
    /// Milliseconds since the device started, by a clock that never jumps; as in [`Answer`](crate::Answer).
    pub uptime_ms: u64,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// Answers that were too old.
    pub n_removed_by_age: u64,
    /// Answers that there was no room for.
    pub n_removed_by_size: u64,
    /// Bytes of the file now.
    pub bytes: u64,
    /// What age was judged by.
    pub age: AgeRule,
    /// Whether the answers take more than they should, and all that could go is gone.
    pub is_over_size: bool,
    /// Whether nothing is left to do; else call again.
    pub is_complete: bool,
}

/// What age was judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeRule {
    /// The clock.
    ByClock,
    /// The newest answer with a trusted time, and the uptime since: the clock is not trusted.
    ByNewestAnswer,
    /// The same: the clock claims to be trusted, but went ahead of the uptime by more than an hour.
    ClockJumped,
    /// Nothing; no answer was removed for its age. No clock was ever trusted.
    Skipped,
}

impl Store {
    /// Removes answers that are too old or that there is no room for, oldest first, and gives their room back to the
    /// file system. One call removes at most a thousand.
    ///
    /// A request whose answer was removed is new again.
    ///
    /// # Errors
    /// When the disk refuses. On a full disk the store's reserve is given up first.
    pub fn retain(&mut self, policy: &Retention, now: Clock) -> Result<Retained, AppendError> {
        let retained = match self.remove(policy, now) {
            Err(cause) if file::is_full(&cause, &self.answers.path) && reserve::give_up(&self.answers.path) => {
                self.remove(policy, now)
            }
            done => done,
        };
        let retained = retained.map_err(|cause| self.failed(cause))?;
        reserve::set_aside(&self.answers.path);
        Ok(retained)
    }

    fn remove(&mut self, policy: &Retention, now: Clock) -> rusqlite::Result<Retained> {
        let connection = self.connection();
        // Makes room first: the log is moved into the file and begins anew.
        checkpoint(connection, "PASSIVE")?;
        let present = Present::judged(&self.answers, self.boot, now)?;
        let cutoff = present.unix_ms.saturating_sub(u64::from(policy.max_age_days) * DAY_MS);
        let old = if present.rule == AgeRule::Skipped { 0 } else { last_old(connection, cutoff, present.horizon_ms)? };
        let (n_removed_by_age, is_all_old_gone) = remove_batches(connection, ANSWERS_A_CALL, |limit| {
            let delete = "DELETE FROM answers WHERE sequence IN
                (SELECT sequence FROM answers WHERE sequence <= ?1 ORDER BY sequence LIMIT ?2)";
            connection.execute(delete, params![old, bounded(limit)])
        })?;
        let room = ANSWERS_A_CALL - n_removed_by_age;
        let (n_removed_by_size, is_all_excess_gone) =
            remove_batches(connection, room, |limit| remove_excess(connection, policy.max_bytes, limit))?;
        give_pages_back(connection)?;
        self.commits = 0;
        let connection = self.connection();
        let is_complete = is_all_old_gone && is_all_excess_gone;
        Ok(Retained {
            n_removed_by_age,
            n_removed_by_size,
            bytes: pages(connection)?.0,
            age: present.rule,
            is_over_size: is_complete && pages(connection)?.1 > policy.max_bytes,
            is_complete,
        })
    }
}

/// The latest moment that the present can safely be taken for.
struct Present {
    rule: AgeRule,
    unix_ms: u64,
    /// Answers from beyond this say nothing about their age. Without an end, they are taken for young: when clock and
    /// answers contradict each other, either may be wrong.
    horizon_ms: u64,
}

impl Present {
    fn judged(answers: &Answers, boot: u64, now: Clock) -> rusqlite::Result<Self> {
        let select = "SELECT unix_ms, boot, uptime_ms FROM answers NOT INDEXED WHERE is_clock_trusted
            ORDER BY sequence DESC LIMIT 1";
        let number = |row: &Row<'_>, at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        let newest = answers
            .connection
            .query_row(select, [], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))
            .optional()?;
        Ok(match (now.is_trusted, newest) {
            (true, None) => Self { rule: AgeRule::ByClock, unix_ms: now.unix_ms, horizon_ms: now.unix_ms },
            (false, None) => Self { rule: AgeRule::Skipped, unix_ms: 0, horizon_ms: u64::MAX },
            (is_trusted, Some((unix_ms, of_boot, uptime_ms))) => {
                let is_same_boot = of_boot == boot;
                let since = if is_same_boot { now.uptime_ms.saturating_sub(uptime_ms) } else { 0 };
                let witnessed = unix_ms.saturating_add(since);
                let rule = match is_trusted {
                    true if is_same_boot && now.unix_ms > witnessed.saturating_add(JUMP_MS) => AgeRule::ClockJumped,
                    true => AgeRule::ByClock,
                    false => AgeRule::ByNewestAnswer,
                };
                let by_clock = rule == AgeRule::ByClock;
                let horizon_ms = if by_clock && unix_ms <= now.unix_ms { now.unix_ms } else { u64::MAX };
                Self { rule, unix_ms: if by_clock { now.unix_ms } else { witnessed }, horizon_ms }
            }
        })
    }
}

/// The last answer that is too old, before the first that is known to be young. 0 when there is none.
fn last_old(connection: &Connection, cutoff: u64, horizon: u64) -> rusqlite::Result<i64> {
    let (cutoff, horizon) = (bounded(cutoff), bounded(horizon));
    let first_young = "SELECT sequence FROM answers NOT INDEXED
        WHERE is_clock_trusted AND unix_ms BETWEEN ?1 AND ?2 ORDER BY sequence LIMIT 1";
    let first_young = connection.query_row(first_young, [cutoff, horizon], |row| row.get(0)).optional()?;
    let last_old = "SELECT sequence FROM answers NOT INDEXED
        WHERE is_clock_trusted AND unix_ms < ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT 1";
    let last_old = connection.query_row(last_old, [cutoff, first_young.unwrap_or(i64::MAX)], |row| row.get(0));
    Ok(last_old.optional()?.unwrap_or(0))
}

/// Removes up to `most` answers in small commits, each moved into the file at once. Tells how many, and whether none is
/// left to remove.
fn remove_batches(
    connection: &Connection,
    most: u64,
    mut remove: impl FnMut(u64) -> rusqlite::Result<usize>,
) -> rusqlite::Result<(u64, bool)> {
    let mut n = 0;
    while n < most {
        match remove(ANSWERS_A_COMMIT.min(most - n))? {
            0 => return Ok((n, true)),
            removed => n += removed as u64,
        }
        checkpoint(connection, "PASSIVE")?;
    }
    Ok((n, false))
}

/// Removes about as many of the oldest answers as are above the limit, at most `limit`.
fn remove_excess(connection: &Connection, max_bytes: u64, limit: u64) -> rusqlite::Result<usize> {
    let (_, used) = pages(connection)?;
    let count: i64 = connection.query_row("SELECT count(*) FROM answers", [], |row| row.get(0))?;
    if used <= max_bytes || count == 0 {
        return Ok(0);
    }
    let bytes_an_answer = (used / count.unsigned_abs()).max(1);
    let limit = (used - max_bytes).div_ceil(bytes_an_answer).min(limit);
    let delete = "DELETE FROM answers WHERE sequence IN (SELECT sequence FROM answers
        WHERE request_id IS NULL OR delivered_unix_ms IS NOT NULL ORDER BY sequence LIMIT ?1)";
    connection.execute(delete, [bounded(limit)])
}

/// Bytes of the file, and bytes of it in use.
fn pages(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let read = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (size, all, free) = (read("page_size")?, read("page_count")?, read("freelist_count")?);
    Ok(((all * size).unsigned_abs(), ((all - free) * size).unsigned_abs()))
}

/// Shrinks the file by what is free in it, and empties the log unless a reader needs it.
fn give_pages_back(connection: &Connection) -> rusqlite::Result<()> {
    let free = || connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    let mut before = i64::MAX;
    let mut left = free()?;
    while 0 < left && left < before {
        // Each row it steps through is one page moved.
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_A_COMMIT})"))?;
        let mut moved = vacuum.query([])?;
        while moved.next()?.is_some() {}
        drop(moved);
        checkpoint(connection, "PASSIVE")?;
        before = std::mem::replace(&mut left, free()?);
    }
    empty_log(connection)
}
