/** A codec that the trainer's readers decode, as far as its frames or its configuration are checked. */
export type VideoCodec =
  | 'avc'
  | 'hevc'
  | 'vvc'
  | 'av1'
  | 'vp8'
  | 'vp9'
  | 'mpeg4'
  | 'mpeg2'
  | 'h263'
  | 'mjpeg'
  | 'prores'
  | 'dnxhd'
  | 'png'
  | 'vc1'
  | 'jpeg2000'
  /** A codec of which nothing but the name is checked. */
  | 'other';

/** Names of sample entries in MP4 and QuickTime files, in lower case, as FFmpeg compares them. */
const SAMPLE_ENTRIES: Record<VideoCodec, string> = {
  avc: 'avc1 avc2 avc3 avc4 dva1 dvav h264 x264 davc ai12 ai13 ai15 ai16 ai1p ai1q ai52 ai53 ai55 ai56 ai5p ai5q aivx avin',
  hevc: 'hvc1 hev1 hvc2 hev2 dvh1 dvhe h265',
  vvc: 'vvc1 vvi1',
  av1: 'av01 dav1',
  vp8: 'vp08 vp80',
  vp9: 'vp09 vp90',
  mpeg4: 'mp4v divx xvid 3iv2 dx50',
  mpeg2:
    'm1v1 mp1v m1v  m2v1 mpg1 mpg2 mp2v mpeg hdv1 hdv2 hdv3 hdv4 hdv5 hdv6 hdv7 hdv8 hdv9 hdva hdvb hdvc mx5n mx5p mx4n mx4p mx3n mx3p xdv1 xdv2 xdv3 xdv4 xdv5 xdv6 xdv7 xdv8 xdv9 xdva xdvb xdvc xdvd xdve xdvf xd51 xd54 xd55 xd59 xd5a xd5b xd5c xd5d xd5e xd5f',
  h263: 'h263 s263',
  mjpeg: 'jpeg mjpg mjpa avdj dmb1 avr1 acdv qivg slmj cjpg ijpg jpgl adjv gepj avrn mjls ljpg sp5x',
  prores: 'apco apcs apcn apch ap4h ap4x',
  dnxhd: 'avdn avdh',
  png: 'png ',
  vc1: 'vc-1',
  jpeg2000: 'mjp2',
  other:
    'raw  rle  wrle rpza smc  cvid 8bps svq1 svqi svq3 vp31 vp60 vp6f mjpb cfhd ffv1 hap1 hap5 hapy hapa hapm 2vuy yuv2 yuvs yv12 j420 v210 v308 v408 v410 r210 r10g r10k b16g b48r b64a l555 l565 b565 24bg bgra rgba abgr dvc  dvcp dvpp dv5n dv5p dvh1 dvh2 dvh3 dvh5 dvh6 dvhp dvhq avdv avd1 dvsd dv25 dv50 dvcs dvis pdvc gif  tiff tga  bmp  uyvy qdrw icod avs2 drac pxlt sv10 flic magy m8rg m8rb m8ra m8yi m8y0 ulh0 ulh2 uly0 uly2 ulra ulrg hfyu ffvh cram msvc mpg4 mp42 mp43 avup dxd3 dxdi evc1',
};

/** Names in Matroska (RFC 9559 refers to the codec specifications), in upper case. */
const MATROSKA: readonly (readonly [name: string, codec: VideoCodec])[] = [
  ['V_MPEG4/ISO/AVC', 'avc'],
  ['V_MPEGH/ISO/HEVC', 'hevc'],
  ['V_MPEGI/ISO/VVC', 'vvc'],
  ['V_AV1', 'av1'],
  ['V_VP8', 'vp8'],
  ['V_VP9', 'vp9'],
  ['V_MPEG4/ISO/SP', 'mpeg4'],
  ['V_MPEG4/ISO/ASP', 'mpeg4'],
  ['V_MPEG4/ISO/AP', 'mpeg4'],
  ['V_MPEG1', 'mpeg2'],
  ['V_MPEG2', 'mpeg2'],
  ['V_MJPEG', 'mjpeg'],
  ...['V_PRORES', 'V_FFV1', 'V_THEORA', 'V_UNCOMPRESSED', 'V_DIRAC', 'V_SNOW', 'V_QUICKTIME', 'V_MPEG4/MS/V3'].map(
    (name) => [name, 'other'] as const,
  ),
  ...['V_MS/VFW/FOURCC', 'V_REAL/RV10', 'V_REAL/RV20', 'V_REAL/RV30', 'V_REAL/RV40', 'V_AVS2', 'V_AVS3'].map(
    (name) => [name, 'other'] as const,
  ),
];

const BY_ENTRY = new Map(
  Object.entries(SAMPLE_ENTRIES).flatMap(([codec, names]) =>
    (names.match(/\S{1,4} ?(?= |$)/g) ?? []).map((name) => [name.trim(), codec as VideoCodec] as const),
  ),
);
const BY_MATROSKA_NAME = new Map(MATROSKA);

/** `undefined` for a codec that is unknown here. */
export function codecOfSampleEntry(name: string): VideoCodec | undefined {
  return BY_ENTRY.get(name.toLowerCase().trim());
}

/** `undefined` for a codec that is unknown here. */
export function codecOfMatroska(name: string): VideoCodec | undefined {
  return BY_MATROSKA_NAME.get(name);
}

/** The name of a codec in quotes, for messages. */
export function shownName(name: string): string {
  return `"${name.replace(/[^\x20-\x7e]/g, '?').trim()}"`;
}

/** The codec by the object type in `esds` (ISO/IEC 14496-1, and the registry of mp4ra.org). It has priority in FFmpeg. */
export function codecOfObjectType(type: number): VideoCodec | undefined {
  if (type >= 0x60 && type <= 0x65) return 'mpeg2';
  return OBJECT_TYPES.get(type);
}

const OBJECT_TYPES = new Map<number, VideoCodec>([
  [0x20, 'mpeg4'],
  [0x21, 'avc'],
  [0x23, 'hevc'],
  [0x6a, 'mpeg2'],
  [0x6c, 'mjpeg'],
  [0x6d, 'png'],
  [0x6e, 'jpeg2000'],
  [0xa3, 'vc1'],
  [0xb1, 'vp9'],
]);
