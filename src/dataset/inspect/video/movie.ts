/** A track by the structure of its container. `frames` are counted in the file, not taken from a header. */
export interface Track {
  readonly kind: 'video' | 'audio' | 'other';
  frames: number;
  /** The duration of its frames; 0 where it is unknown. */
  seconds: number;
  /** The container's name for it: `avc1`, `V_VP9`. */
  readonly codec: string;
  /** In pixels, after rotation. Used where mediabunny does not read the file. */
  readonly width?: number;
  readonly height?: number;
}

/** The tracks and the duration that the check of a container's structure found. */
export interface Movie {
  readonly tracks: readonly Track[];
  readonly durationSeconds: number;
  /** Bytes of the headers, which mediabunny holds in memory while it parses them. */
  readonly headerBytes: number;
  /** Whether mediabunny can list all packets without reading the media data. */
  readonly isListable: boolean;
}
