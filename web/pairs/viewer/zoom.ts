import type { Size } from '../../../src/dataset/buckets.js';

/** How large pictures are shown: each as large as it fits, each at 100 %, or each so many times as large as it fits. */
type Level = 'fit' | 'actual' | number;

/** What is shown of pictures. Pictures of different sizes that share it show the same part. */
export interface Zoom {
  readonly level: Level;
  /** The point of the picture in the middle of the stage, as parts of the width and of the height. */
  readonly x: number;
  readonly y: number;
}

export const FITTED: Zoom = { level: 'fit', x: 0.5, y: 0.5 };

/** A picture and the stage that shows it. */
export interface StageFrame {
  readonly picture: Size;
  readonly stage: Size;
  /** The size of a pixel of the picture at 100 %, which is a pixel of the screen, in CSS pixels. */
  readonly pixel: number;
}

/** A position on the stage, from its upper left corner. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where the picture is on the stage, in CSS pixels. */
export interface Placement extends Size, Zoom {
  readonly scale: number;
  readonly left: number;
  readonly top: number;
}

/** Pixels of a picture are shown up to so many times as large. */
const MAX_ENLARGEMENT = 8;

/** The place of the picture. It never leaves a gap on one side while the other side is hidden. */
export function placementOf({ level, x, y }: Zoom, frame: StageFrame): Placement {
  const { picture, stage } = frame;
  const scale = scaleOf(level, frame);
  const across = placed(x, picture.width * scale, stage.width);
  const down = placed(y, picture.height * scale, stage.height);
  return {
    level,
    scale,
    x: across.centre,
    y: down.centre,
    left: across.start,
    top: down.start,
    width: across.size,
    height: down.size,
  };
}

function placed(at: number, size: number, room: number) {
  const half = room / (2 * size);
  const centre = half >= 0.5 ? 0.5 : Math.min(Math.max(at, half), 1 - half);
  return { size, centre, start: room / 2 - centre * size };
}

function scaleOf(level: Level, frame: StageFrame): number {
  if (level === 'actual') return frame.pixel;
  const { fit, least, most } = limitsOf(frame);
  return level === 'fit' ? fit : Math.min(Math.max(level * fit, least), most);
}

function limitsOf({ picture, stage, pixel }: StageFrame) {
  const fit = Math.min(stage.width / picture.width, stage.height / picture.height);
  return { fit, least: Math.min(fit, pixel), most: Math.max(fit, pixel * MAX_ENLARGEMENT) };
}

/** Changes the size by a factor. What is at the point stays there. */
export function scaledBy(factor: number, zoom: Zoom, frame: StageFrame, point: Point): Zoom {
  const { fit, least, most } = limitsOf(frame);
  const scale = Math.min(Math.max(scaleOf(zoom.level, frame) * factor, least), most);
  return withLevel(Math.abs(scale / fit - 1) < 0.005 ? 'fit' : scale / fit, zoom, frame, point);
}

/** 100 %, with what is at the point where it is; or all of the picture again. */
export function toggledZoom(zoom: Zoom, frame: StageFrame, point: Point): Zoom {
  return zoom.level === 'fit' ? withLevel('actual', zoom, frame, point) : FITTED;
}

function withLevel(level: Level, zoom: Zoom, frame: StageFrame, point: Point): Zoom {
  if (level === 'fit') return FITTED;
  const { left, top, width, height } = placementOf(zoom, frame);
  const { stage, picture } = frame;
  const scale = scaleOf(level, frame);
  const moved = {
    level,
    x: (point.x - left) / width + (stage.width / 2 - point.x) / (picture.width * scale),
    y: (point.y - top) / height + (stage.height / 2 - point.y) / (picture.height * scale),
  };
  return withinEdges(moved, frame);
}

/** Moves the picture with a pointer that drags it. */
export function panned(zoom: Zoom, frame: StageFrame, { x: right, y: down }: Point): Zoom {
  const { level, x, y, width, height } = placementOf(zoom, frame);
  return withinEdges({ level, x: x - right / width, y: y - down / height }, frame);
}

function withinEdges(zoom: Zoom, frame: StageFrame): Zoom {
  const { level, x, y } = placementOf(zoom, frame);
  return { level, x, y };
}

/** Whether part of the picture is off the stage. */
export function isCut({ width, height }: Size, stage: Size): boolean {
  // The sizes are products of fractions.
  return width > stage.width + 0.5 || height > stage.height + 0.5;
}
