//! Run-length coded frames. Source: DICOM PS3.5 annex G.

use super::DicomError;

const HEADER_BYTES: usize = 64;

/// Decodes one frame into planes of little-endian samples: `[sample][row][column]`.
///
/// `pixels` is rows times columns and `bytes` the size of one sample in bytes.
pub(super) fn decode(fragment: &[u8], pixels: usize, samples: usize, bytes: usize) -> Result<Vec<u8>, DicomError> {
    let Some(header) = fragment.get(..HEADER_BYTES) else {
        return Err(DicomError::Truncated {
            what: "the run-length header",
            expected: HEADER_BYTES as u64,
            found: fragment.len() as u64,
        });
    };
    let words: Vec<usize> =
        header.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize).collect();
    let (found, expected) = (words[0], samples * bytes);
    if found != expected || expected > 15 {
        return Err(DicomError::RunLength { segment: 0, expected, found });
    }
    let starts = &words[1..=found];
    let plane = pixels * bytes;
    // PackBits grows 2 bytes into 128 at most: what a fragment cannot hold is refused before memory is taken for it.
    if plane * samples > fragment.len().saturating_mul(64) {
        return Err(DicomError::RunLength { segment: 0, expected: plane * samples, found: fragment.len() });
    }
    let mut planes = vec![0; plane * samples];
    for (segment, &start) in starts.iter().enumerate() {
        let end = starts.get(segment + 1).copied().unwrap_or(fragment.len());
        let coded = fragment.get(start..end).unwrap_or_default();
        // Segments run from the most significant byte of a sample to the least.
        let (sample, significance) = (segment / bytes, bytes - 1 - segment % bytes);
        let target = planes[sample * plane..][..plane].iter_mut().skip(significance).step_by(bytes);
        let written = unpack(coded, target);
        if written != pixels {
            return Err(DicomError::RunLength { segment, expected: pixels, found: written });
        }
    }
    Ok(planes)
}

/// Unpacks PackBits into `target`, stopping at the end of either; returns how many bytes were written.
fn unpack<'a>(mut coded: &[u8], mut target: impl Iterator<Item = &'a mut u8>) -> usize {
    let mut written = 0;
    while let Some((&control, rest)) = coded.split_first() {
        let (literal, repeat) = match control {
            0..=127 => (usize::from(control) + 1, 1),
            128 => {
                coded = rest;
                continue;
            }
            129.. => (1, 257 - usize::from(control)),
        };
        let (run, after) = rest.split_at(literal.min(rest.len()));
        for _ in 0..repeat {
            for &byte in run {
                let Some(place) = target.next() else { return written };
                *place = byte;
                written += 1;
            }
        }
        coded = after;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::unpack;

    #[test]
    fn packbits_example_of_the_standard_unpacks() {
        // The example of Apple's technical note 1023, where the coding comes from.
        let coded = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let mut out = [0; 24];
        assert_eq!(unpack(&coded, out.iter_mut()), 24);
        let expected = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa, 0xaa, 0xaa,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        assert_eq!(out, expected);
    }
}
