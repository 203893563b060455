//! What a JPEG stream holds, told without making samples of it: above all, whether it has all of its picture.
//!
//! Decoders fill what is missing with grey and say nothing, as is right for who looks at a photograph; a model would judge the grey. So
//! the entropy-coded data are walked through once, without making samples: each scan must have bits for all of its blocks. What is not
//! understood is left to the decoder to refuse, and refining scans of progressive streams are not looked at: without them a picture is
//! coarse, not grey.
//!
//! Source: ITU-T T.81 (1992): B.1 and B.2 (segments), F.2.2 (sequential), G.1.2 (progressive), A.2 (blocks of a scan).

mod bits;

use bits::{Bits, End, Table};

/// What a stream lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Units of the scan that ends early: blocks of 8 x 8 samples, or as many as belong together.
    pub(crate) expected: u64,
    /// Of these, how many are there.
    pub(crate) found: u64,
}

/// A component of the picture and its sampling factors.
#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: u64,
    down: u64,
}

struct Frame {
    width: u64,
    height: u64,
    components: Vec<Component>,
    is_progressive: bool,
}

/// What the segments before a scan have said.
#[derive(Default)]
struct Said {
    frame: Option<Frame>,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    /// Units from one restart to the next; 0 for none.
    restart: u64,
}

/// What a block of a scan holds.
#[derive(Clone, Copy)]
enum Content {
    Sequential,
    /// The first scan of a progressive stream's means.
    Mean,
    /// The first scan of a band of a progressive stream's waves.
    Waves {
        first: u32,
        last: u32,
    },
}

/// A segment of a stream.
struct Segment<'a> {
    marker: u8,
    content: &'a [u8],
    /// What follows it; behind the head of a scan, its data.
    after: &'a [u8],
}

/// The segments of a stream, up to its end or to what is none.
struct Segments<'a> {
    rest: &'a [u8],
    /// Whether a scan's data come before the next segment.
    is_at_data: bool,
}

impl<'a> Segments<'a> {
    fn of(stream: &'a [u8]) -> Self {
        Self { rest: stream.get(2..).unwrap_or_default(), is_at_data: false }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.is_at_data {
            self.rest = &self.rest[length_of_data(self.rest)..];
        }
        loop {
            match *self.rest {
                [0xff, 0xff, ..] => self.rest = &self.rest[1..],
                // Markers without a segment: one for private use, a restart, the beginning.
                [0xff, 0x01 | 0xd0..=0xd8, ..] => self.rest = &self.rest[2..],
                [0xff, marker, high, low, ..] if marker != 0xd9 => {
                    let end = 2 + usize::from(u16::from_be_bytes([high, low]));
                    let (content, after) = (self.rest.get(4..end)?, self.rest.get(end..)?);
                    (self.rest, self.is_at_data) = (after, marker == 0xda);
                    return Some(Segment { marker, content, after });
                }
                _ => return None,
            }
        }
    }
}

/// Bytes up to the marker that ends a scan.
fn length_of_data(data: &[u8]) -> usize {
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    data.windows(2).position(is_end).unwrap_or(data.len())
}

/// Whether the first scan has all of the components, and is not of the progressive kind. Where the segments before it are not plain to
/// read it may be otherwise.
pub(crate) fn has_one_scan(bytes: &[u8]) -> bool {
    let mut n_components = None;
    for Segment { marker, content, .. } in Segments::of(bytes) {
        match marker {
            0xc0 | 0xc1 => n_components = content.get(5),
            0xc4 | 0xc8 | 0xcc => {}
            0xc2..=0xcf => return false,
            0xda => return n_components.is_some() && content.first() == n_components,
            _ => {}
        }
    }
    false
}

/// Finds a scan that ends before its picture does.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Missing> {
    let mut said = Said::default();
    for Segment { marker, content, after } in Segments::of(bytes) {
        match marker {
            0xc0..=0xc2 => said.frame = frame(content, marker == 0xc2),
            0xc4 => said.take_tables(content),
            0xdd => said.restart = content.get(..2).map_or(0, |pair| u64::from(u16::from_be_bytes([pair[0], pair[1]]))),
            0xda => {
                let (found, expected, end) = said.walk(content, after);
                if end == Err(End::Short) {
                    return Err(Missing { expected, found });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn frame(segment: &[u8], is_progressive: bool) -> Option<Frame> {
    let [_, high, low, left, right, n, ref of_components @ ..] = *segment else { return None };
    let component = |of: &[u8]| {
        let (across, down) = (u64::from(of[1] >> 4), u64::from(of[1] & 15));
        (across > 0 && down > 0).then_some(Component { id: of[0], across, down })
    };
    let components: Option<Vec<Component>> =
        of_components.chunks_exact(3).take(usize::from(n)).map(component).collect();
    let [height, width] = [[high, low], [left, right]].map(|pair| u64::from(u16::from_be_bytes(pair)));
    Some(Frame { width, height, components: components?, is_progressive })
}

impl Said {
    fn take_tables(&mut self, mut segment: &[u8]) {
        while let Some((&which, rest)) = segment.split_first() {
            let Some((table, after)) = Table::read(rest) else { return };
            let tables = if which >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            if let Some(place) = tables.get_mut(usize::from(which & 15)) {
                *place = Some(table);
            }
            segment = after;
        }
    }

    /// Walks through the scan that `segment` announces: units found and expected, and why it ended.
    fn walk(&self, segment: &[u8], data: &[u8]) -> (u64, u64, Result<(), End>) {
        let unknown = (0, 0, Err(End::Unknown));
        let Some(frame) = &self.frame else { return unknown };
        let Some((&n, rest)) = segment.split_first() else { return unknown };
        let Some((chosen, &[first, last, steps, ..])) = rest.split_at_checked(2 * usize::from(n)) else {
            return unknown;
        };
        let content = match (frame.is_progressive, first, steps >> 4) {
            (false, ..) => Content::Sequential,
            (true, 0, 0) => Content::Mean,
            (true, 1.., 0) => Content::Waves { first: u32::from(first), last: u32::from(last) },
            // It refines.
            _ => return unknown,
        };
        let mut blocks = Vec::new();
        let mut only = None;
        for choice in chosen.chunks_exact(2) {
            let Some(component) = frame.components.iter().find(|component| component.id == choice[0]) else {
                return unknown;
            };
            let tables = [(&self.dc, choice[1] >> 4), (&self.ac, choice[1] & 15)]
                .map(|(tables, which)| tables.get(usize::from(which)).and_then(Option::as_ref));
            let n_blocks = if n == 1 { 1 } else { component.across * component.down };
            blocks.extend((0..n_blocks).map(|_| tables));
            only = (n == 1).then_some(*component);
        }
        let expected = frame.n_units(only);
        let mut scan = Scan { bits: Bits::new(data), content, n_empty: 0 };
        let mut found = 0;
        let mut through = || {
            while found < expected {
                if self.restart > 0 && found > 0 && found.is_multiple_of(self.restart) {
                    scan.restart()?;
                }
                blocks.iter().try_for_each(|&[dc, ac]| scan.block(dc, ac))?;
                found += 1;
            }
            Ok(())
        };
        let end = through();
        (found, expected, end)
    }
}

impl Frame {
    /// Units of a scan: blocks of its only component, or groups that cover the same part of the picture.
    fn n_units(&self, only: Option<Component>) -> u64 {
        let largest = |of: fn(&Component) -> u64| self.components.iter().map(of).max().unwrap_or(1);
        let (across, down) = (largest(|component| component.across), largest(|component| component.down));
        match only {
            Some(one) => {
                let side = |length: u64, own: u64, largest: u64| (length * own).div_ceil(largest).div_ceil(8);
                side(self.width, one.across, across) * side(self.height, one.down, down)
            }
            None => self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down),
        }
    }
}

/// A scan being walked through.
struct Scan<'a> {
    bits: Bits<'a>,
    content: Content,
    /// Blocks that follow without anything in the band.
    n_empty: u32,
}

impl Scan<'_> {
    fn restart(&mut self) -> Result<(), End> {
        self.n_empty = 0;
        self.bits.restart()
    }

    fn block(&mut self, dc: Option<&Table>, ac: Option<&Table>) -> Result<(), End> {
        match self.content {
            Content::Sequential => {
                self.mean(dc)?;
                self.waves(ac, 1, 63)
            }
            Content::Mean => self.mean(dc),
            Content::Waves { .. } if self.n_empty > 0 => {
                self.n_empty -= 1;
                Ok(())
            }
            Content::Waves { first, last } => self.waves(ac, first, last),
        }
    }

    fn mean(&mut self, table: Option<&Table>) -> Result<(), End> {
        let n_bits = self.bits.symbol(table.ok_or(End::Unknown)?)?;
        self.bits.skip(u32::from(n_bits))
    }

    fn waves(&mut self, table: Option<&Table>, first: u32, last: u32) -> Result<(), End> {
        let table = table.ok_or(End::Unknown)?;
        let mut at = first;
        while at <= last {
            let symbol = self.bits.symbol(table)?;
            let (run, n_bits) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            match (run, n_bits) {
                (15, 0) => at += 16,
                (0, 0) => break,
                // So many blocks, this one among them, are empty from here on; sequential streams have no such symbol.
                (_, 0) => {
                    self.n_empty = (1 << run) - 1 + self.bits.take(run)?;
                    break;
                }
                _ => {
                    at += run + 1;
                    self.bits.skip(n_bits)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
