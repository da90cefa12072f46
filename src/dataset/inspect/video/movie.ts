/** A track as its container's structure shows it. `frames` are counted, not promised. */
export interface Track {
  readonly kind: 'video' | 'audio' | 'other';
  frames: number;
  /** How long its frames last together; 0 where that is not known. */
  seconds: number;
  /** As the container calls it: `avc1`, `V_VP9`. */
  readonly codec: string;
  /** In pixels, as shown; for where mediabunny is not asked or does not know. */
  readonly width?: number;
  readonly height?: number;
}

/** What the walk over a container proved to be there. */
export interface Movie {
  readonly tracks: readonly Track[];
  readonly durationSeconds: number;
  /** What mediabunny holds of the headers while it parses them. */
  readonly headerBytes: number;
  /** Whether mediabunny lists all packets without reading them. */
  readonly listable: boolean;
}
