//! Fields of COPY's binary format: length, then bytes.

/// Appends a field of eight bytes.
#[inline]
pub(in crate::sync::postgres) fn put_eight(bytes: [u8; 8], out: &mut Vec<u8>) {
    let mut field = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    field[4..].copy_from_slice(&bytes);
    out.extend_from_slice(&field);
}

/// Appends a field without a value.
pub(in crate::sync::postgres) fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}
