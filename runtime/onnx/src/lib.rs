//! The part of the ONNX file format that our models use, and what foreign files say beside it.
//!
//! The exporter writes these messages and the integer graph pass reads them. Field numbers follow `onnx/onnx.proto3` of
//! ONNX 1.23 (Copyright ONNX Project Contributors, Apache-2.0); what neither of us needs is left out, which protobuf
//! permits. Scalars that ONNX tests for presence are `optional` here, so that a zero is written too. Raw data is
//! [`Bytes`](bytes::Bytes): decoded from `Bytes` it stays where it is. Nothing here checks what a file says.

mod graph;
mod tensor;

pub use graph::{
    ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_STRING, ATTRIBUTE_TENSOR, AttributeProto, GraphProto,
    ModelProto, NodeProto, OperatorSetIdProto,
};
pub use tensor::{
    DimensionProto, EXTERNAL, FLOAT, FLOAT16, INT8, INT32, INT64, StringStringEntryProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, UINT8, ValueInfoProto,
};

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::TensorProto;

    #[test]
    fn raw_data_stays_where_the_file_is() {
        let tensor = TensorProto { raw_data: Some(vec![7; 64].into()), ..TensorProto::default() };
        let file = Bytes::from(tensor.encode_to_vec());
        let raw = TensorProto::decode(file.clone()).unwrap().raw_data.unwrap();
        assert!(file.as_ptr_range().contains(&raw.as_ptr()));
    }

    #[test]
    fn a_tensor_has_the_field_numbers_of_the_standard() {
        let tensor = TensorProto {
            dims: vec![1],
            data_type: Some(2),
            float_data: vec![],
            int32_data: vec![5],
            int64_data: vec![6],
            name: "n".into(),
            raw_data: Some(vec![9].into()),
            external_data: vec![],
            data_location: Some(1),
        };
        let expected = [0x0a, 1, 1, 0x10, 2, 0x2a, 1, 5, 0x3a, 1, 6, 0x42, 1, b'n', 0x4a, 1, 9, 0x70, 1];
        assert_eq!(tensor.encode_to_vec(), expected);
    }
}
