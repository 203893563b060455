//! Constant values, and types of values that are not there yet.

use bytes::Bytes;
use prost::Message;

/// [`TensorProto::data_type`] of single precision.
pub const FLOAT: i32 = 1;
/// Half-precision floats.
pub const FLOAT16: i32 = 10;
/// Of 8-bit unsigned integers.
pub const UINT8: i32 = 2;
/// Of 8-bit signed integers.
pub const INT8: i32 = 3;
/// Of 32-bit signed integers.
pub const INT32: i32 = 6;
/// Of 64-bit signed integers.
pub const INT64: i32 = 7;

/// [`TensorProto::data_location`] of values in another file.
pub const EXTERNAL: i32 = 1;

/// A constant value.
///
/// Its data is in `raw_data`, little-endian, or in the list for its type: floats in `float_data`, integers of up to 32 bits
/// one an entry in `int32_data`, larger ones in `int64_data`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Its shape; empty for a scalar.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// What its values are.
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Floats, unless they are raw.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Integers of up to 32 bits, unless they are raw.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Integers of 64 bits, unless they are raw.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Values as little-endian bytes.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    /// Where in another file its values are.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// Whether its values are in another file.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A value's name and type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A type: only tensors are known here.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// Of a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// The type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// As [`TensorProto::data_type`].
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// Its shape, if anything is known of it.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// One entry for each axis.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// The size along one axis.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// The size, where it is known.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// A name for a size that is given later.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}
