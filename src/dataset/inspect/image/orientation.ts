const ORIENTATION = 0x0112;

/**
 * Reads the orientation, 1 to 8, of an EXIF block, which is a TIFF structure; 1 if it has none or is invalid. The trainer
 * applies it the same way, by Pillow's `exif_transpose` (ai-toolkit `toolkit/data_transfer_object/data_loader.py`).
 */
export function orientationOf(exif: Buffer): number {
  const tiff = exif.subarray(0, 6).equals(Buffer.from('Exif\0\0')) ? exif.subarray(6) : exif;
  if (tiff.length < 8) return 1;
  const byteOrder = tiff.toString('latin1', 0, 2);
  if (byteOrder !== 'II' && byteOrder !== 'MM') return 1;
  const u16 = (at: number) => (byteOrder === 'II' ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const directory = byteOrder === 'II' ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
  if (directory + 2 > tiff.length) return 1;
  const entries = u16(directory);
  for (let entry = 0; entry < entries; entry++) {
    const at = directory + 2 + entry * 12;
    if (at + 12 > tiff.length) return 1;
    if (u16(at) === ORIENTATION) return validOrientation(u16(at + 8));
  }
  return 1;
}

export function validOrientation(value: number): number {
  return value >= 1 && value <= 8 ? value : 1;
}

/** The dimensions as shown: orientations 5 to 8 swap the sides (EXIF 2.3, tag 274). */
export function oriented(image: { width: number; height: number; orientation: number }) {
  const { width, height } = image;
  return image.orientation >= 5 ? { width: height, height: width } : { width, height };
}
