//! Constants of a file, checked against their own dimensions before anything is allocated for them.

use remedis_onnx::{EXTERNAL, FLOAT, INT8, INT32, INT64, TensorProto, UINT8};

/// What is wrong with a constant.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum TensorError {
    /// Dimensions that multiply to no size.
    #[error("its dimensions {dims:?} are no size")]
    Dimensions {
        /// As the file has them.
        dims: Vec<i64>,
    },
    /// Another amount of data than the dimensions ask for.
    #[error("its dimensions need {expected} {unit}, it has {found}")]
    Length {
        /// What is counted.
        unit: &'static str,
        /// By the dimensions and the type.
        expected: usize,
        /// In the file.
        found: usize,
    },
    /// An 8-bit value that is none.
    #[error("it has the value {found}, which does not fit its 8 bits")]
    Range {
        /// In the file.
        found: i32,
    },
    /// Values in another file.
    #[error("its values are in another file; save the model as one file")]
    External,
}

/// A constant with as many values as its dimensions say.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) dims: Vec<usize>,
    proto: TensorProto,
}

/// 8-bit values; unsigned ones are 128 lower than in the file.
pub(super) struct Bytes8 {
    pub(super) values: Vec<i8>,
    pub(super) is_signed: bool,
}

impl Tensor {
    pub(super) fn new(proto: TensorProto) -> Result<Self, TensorError> {
        if proto.data_location == Some(EXTERNAL) || !proto.external_data.is_empty() {
            return Err(TensorError::External);
        }
        let no_size = || TensorError::Dimensions { dims: proto.dims.clone() };
        let dims: Vec<usize> =
            proto.dims.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<_>>().ok_or_else(no_size)?;
        let n_values = dims.iter().try_fold(1_usize, |product, size| product.checked_mul(*size)).ok_or_else(no_size)?;
        if let Some((unit, expected, found)) = amounts(&proto, n_values).ok_or_else(no_size)?
            && expected != found
        {
            return Err(TensorError::Length { unit, expected, found });
        }
        let range = match proto.data_type {
            Some(INT8) => -128..=127,
            Some(UINT8) => 0..=255,
            _ => i32::MIN..=i32::MAX,
        };
        match proto.int32_data.iter().find(|value| !range.contains(*value)) {
            Some(&found) => Err(TensorError::Range { found }),
            None => Ok(Self { dims, proto }),
        }
    }

    /// Floats, if it has such.
    pub(super) fn floats(&self) -> Option<Vec<f32>> {
        (self.proto.data_type == Some(FLOAT)).then(|| match &self.proto.raw_data {
            Some(raw) => raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            None => self.proto.float_data.clone(),
        })
    }

    /// 8-bit integers, if it has such.
    pub(super) fn bytes(&self) -> Option<Bytes8> {
        let (is_signed, lower) = match self.proto.data_type {
            Some(INT8) => (true, 0),
            Some(UINT8) => (false, 0x80),
            _ => return None,
        };
        let signed = |byte: u8| (byte ^ lower).cast_signed();
        let values = match &self.proto.raw_data {
            Some(raw) => raw.iter().map(|byte| signed(*byte)).collect(),
            None => self.proto.int32_data.iter().map(|value| signed(value.to_le_bytes()[0])).collect(),
        };
        Some(Bytes8 { values, is_signed })
    }

    /// 32-bit integers, if it has such.
    pub(super) fn words(&self) -> Option<Vec<i32>> {
        (self.proto.data_type == Some(INT32)).then(|| match &self.proto.raw_data {
            Some(raw) => raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect(),
            None => self.proto.int32_data.clone(),
        })
    }

    /// 64-bit integers, if it has such: shapes and axes.
    pub(super) fn longs(&self) -> Option<Vec<i64>> {
        (self.proto.data_type == Some(INT64)).then(|| match &self.proto.raw_data {
            Some(raw) => raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
            None => self.proto.int64_data.clone(),
        })
    }
}

/// A unit, how many of it the type and the number of values need, and how many there are. The outer `None` is an overflow;
/// the inner one a type that we never read.
#[expect(clippy::option_option, reason = "an overflow is an error, an unread type is none")]
fn amounts(proto: &TensorProto, n_values: usize) -> Option<Option<(&'static str, usize, usize)>> {
    let (size, listed) = match proto.data_type {
        Some(FLOAT) => (4, proto.float_data.len()),
        Some(INT8 | UINT8) => (1, proto.int32_data.len()),
        Some(INT32) => (4, proto.int32_data.len()),
        Some(INT64) => (8, proto.int64_data.len()),
        _ => return Some(None),
    };
    Some(Some(match &proto.raw_data {
        Some(raw) => ("bytes", n_values.checked_mul(size)?, raw.len()),
        None => ("values", n_values, listed),
    }))
}
