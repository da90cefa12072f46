import {
  type PointerEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import type { Size } from '../../../src/dataset/buckets.js';
import { withKey } from '../../keys.js';
import { Pressed } from './pressed.js';
import type { DatasetFile } from '../../../src/client/client.js';

interface StageHandle {
  readonly toggle: () => void;
  readonly isHovered: () => boolean;
}

/** The zoom that the stages of a viewer share, and that stays from pair to pair. */
export function useZooming() {
  const [zoom, setZoom] = useState(FITTED);
  const [stages] = useState(() => new Set<StageHandle>());
  const toggle = () => {
    const all = [...stages];
    (all.find(({ isHovered }) => isHovered()) ?? all[0])?.toggle();
  };
  return { zoom, setZoom, stages, toggle };
}

export type Zooming = ReturnType<typeof useZooming>;

export function ZoomButtons({ zooming: { zoom, setZoom } }: { zooming: Zooming }) {
  const title = withKey('100 % at the pointer, and back', 'viewerZoom');
  return (
    <fieldset className="flex gap-1">
      <legend className="sr-only">Size</legend>
      <Pressed title={title} isOn={zoom.level === 'fit'} onClick={() => setZoom(() => FITTED)}>
        Fit
      </Pressed>
      <Pressed
        title={title}
        isOn={zoom.level === 'actual'}
        onClick={() => setZoom((known) => ({ ...known, level: 'actual' }))}
      >
        100 %
      </Pressed>
    </fieldset>
  );
}

interface ZoomStageProps {
  readonly zooming: Zooming;
  /** The size of the picture in pixels; without one, it has the size of the stage. */
  readonly picture: Size | undefined;
  /** What is shown has controls of its own, such as those of a clip, and always fits. */
  readonly isStill?: boolean;
  /** Moves to the next (1) or previous (-1) picture. */
  readonly onSwipe?: ((step: 1 | -1) => void) | undefined;
  readonly children: ReactNode;
}

/** A picture that the wheel, a drag, a pinch or a double click make larger and move. */
export function ZoomStage({ zooming, picture, isStill = false, onSwipe, children }: ZoomStageProps) {
  const stage = useRef<HTMLDivElement>(null);
  const size = useSize(stage);
  const isFixed = isStill || picture === undefined;
  const frame = size && { picture: picture ?? size, stage: size, pixel: 1 / devicePixelRatio };
  const placement = frame && placementOf(isFixed ? FITTED : zooming.zoom, frame);
  const { swiped, ...gestures } = useGestures(stage, { zooming, frame, placement, isFixed, onSwipe });
  const isDraggable = placement !== undefined && size !== undefined && isCut(placement, size);
  const { left = 0, top = 0, width = 0, height = 0, scale = 1 } = placement ?? {};
  const percent = Math.round(scale * devicePixelRatio * 100);
  return (
    <div
      ref={stage}
      {...gestures}
      className={`relative size-full min-h-0 min-w-0 touch-none overflow-hidden select-none has-[input:focus-visible]:outline-2 has-[input:focus-visible]:-outline-offset-2 has-[input:focus-visible]:outline-accent ${isDraggable ? 'cursor-grab active:cursor-grabbing' : isFixed ? '' : 'cursor-zoom-in'}`}
    >
      {placement !== undefined && (
        <div
          data-picture
          className="absolute top-0 left-0 overflow-hidden"
          style={{ width, height, transform: `translate(${left + swiped}px, ${top}px)` }}
        >
          {children}
        </div>
      )}
      {!isFixed && (
        <span className="pointer-events-none absolute bottom-1 left-1 rounded-md border border-line bg-panel px-1.5 text-xs text-muted tabular-nums">
          {percent} %
        </span>
      )}
    </div>
  );
}

interface GestureOptions extends Pick<ZoomStageProps, 'zooming' | 'onSwipe'> {
  readonly frame: StageFrame | undefined;
  readonly placement: Placement | undefined;
  readonly isFixed: boolean;
}

/** A finger that has moved so far goes to another picture. */
const SWIPE_PIXELS = 60;

function useGestures(
  stage: RefObject<HTMLDivElement | null>,
  { zooming, frame, placement, isFixed, onSwipe }: GestureOptions,
) {
  const { setZoom, stages } = zooming;
  const pressed = useRef(new Map<number, Point>());
  const start = useRef(0);
  const hovered = useRef<Point>(undefined);
  const [swiped, setSwiped] = useState(0);
  // Known at once: the finger may leave before the picture is rendered again.
  const swipe = useRef(0);
  const swipeTo = (by: number) => {
    swipe.current = by;
    setSwiped(by);
  };
  const pointOf = ({ clientX, clientY }: Pick<MouseEvent, 'clientX' | 'clientY'>): Point => {
    const { left, top } = stage.current!.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };
  const toggle = (point = hovered.current) => {
    if (frame === undefined || isFixed) return;
    const { width, height } = frame.stage;
    setZoom((known) => toggledZoom(known, frame, point ?? { x: width / 2, y: height / 2 }));
  };
  useLayoutEffect(() => {
    const handle = { toggle: () => toggle(), isHovered: () => hovered.current !== undefined };
    stages.add(handle);
    return () => {
      stages.delete(handle);
    };
  });
  useWheel(stage, (event, factor) => {
    if (frame !== undefined && !isFixed) setZoom((known) => scaledBy(factor, known, frame, pointOf(event)));
  });
  const onPointerMove = (event: PointerEvent) => {
    const point = pointOf(event);
    if (event.pointerType !== 'touch') hovered.current = point;
    const before = pressed.current.get(event.pointerId);
    if (before === undefined || frame === undefined || placement === undefined) return;
    const other = [...pressed.current].find(([id]) => id !== event.pointerId)?.[1];
    pressed.current.set(event.pointerId, point);
    if (other !== undefined) {
      swipeTo(0);
      const middle = { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 };
      const factor = distanceOf(point, other) / Math.max(1, distanceOf(before, other));
      if (!isFixed) setZoom((known) => scaledBy(factor, known, frame, middle));
    } else if (isCut(placement, frame.stage)) {
      setZoom((known) => panned(known, frame, { x: point.x - before.x, y: point.y - before.y }));
    } else if (event.pointerType === 'touch' && onSwipe !== undefined) {
      swipeTo(point.x - start.current);
    }
  };
  const onEnd = (event: PointerEvent) => {
    if (!pressed.current.delete(event.pointerId)) return;
    const by = swipe.current;
    swipeTo(0);
    if (event.type === 'pointerup' && Math.abs(by) > SWIPE_PIXELS) onSwipe?.(by < 0 ? 1 : -1);
  };
  return {
    swiped,
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      if (event.button !== 0 || (event.target as Element).closest('button, input, a') !== null) return;
      // The controls of a clip take the pointer.
      if (!isFixed) event.currentTarget.setPointerCapture(event.pointerId);
      const point = pointOf(event);
      pressed.current.set(event.pointerId, point);
      start.current = point.x;
    },
    onPointerMove,
    onPointerUp: onEnd,
    onPointerCancel: onEnd,
    onPointerLeave: () => {
      hovered.current = undefined;
    },
    onDoubleClick: (event: React.MouseEvent) => toggle(pointOf(event)),
  };
}

function distanceOf(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** The size of a file in pixels, if it is known. */
export function pictureSizeOf({ width, height }: DatasetFile): Size | undefined {
  return width && height ? { width, height } : undefined;
}

/** The height of a line, for browsers that scroll by lines. */
const LINE_PIXELS = 16;

/** Calls `onTurn` with the factor that a turn of the wheel, or a pinch on a trackpad, changes the size by. */
function useWheel(stage: RefObject<HTMLElement | null>, onTurn: (event: WheelEvent, factor: number) => void): void {
  const onWheel = useEffectEvent((event: WheelEvent) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PIXELS : 1);
    // A pinch arrives as a wheel with the Ctrl key and with smaller steps.
    onTurn(event, Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)));
  });
  useEffect(() => {
    const element = stage.current;
    const handle = (event: WheelEvent) => onWheel(event);
    // React listens passively, so that it could not keep the page from scrolling.
    element?.addEventListener('wheel', handle, { passive: false });
    return () => element?.removeEventListener('wheel', handle);
  }, [stage]);
}

/** The size of an element, `undefined` while it has none. */
function useSize(element: RefObject<HTMLElement | null>): Size | undefined {
  const [size, setSize] = useState<Size>();
  useLayoutEffect(() => {
    const measure = () => {
      const { clientWidth: width = 0, clientHeight: height = 0 } = element.current ?? {};
      setSize(width > 0 && height > 0 ? { width, height } : undefined);
    };
    measure();
    const observer = new ResizeObserver(measure);
    if (element.current !== null) observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return size;
}

/** How large pictures are shown: each as large as it fits, each at 100 %, or each so many times as large as it fits. */
type Level = 'fit' | 'actual' | number;

/** What is shown of pictures. Pictures of different sizes that share it show the same part. */
interface Zoom {
  readonly level: Level;
  /** The point of the picture in the middle of the stage, as parts of the width and of the height. */
  readonly x: number;
  readonly y: number;
}

const FITTED: Zoom = { level: 'fit', x: 0.5, y: 0.5 };

/** A picture and the stage that shows it. */
interface StageFrame {
  readonly picture: Size;
  readonly stage: Size;
  /** The size of a pixel of the picture at 100 %, which is a pixel of the screen, in CSS pixels. */
  readonly pixel: number;
}

/** A position on the stage, from its upper left corner. */
interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where the picture is on the stage, in CSS pixels. */
interface Placement extends Size, Zoom {
  readonly scale: number;
  readonly left: number;
  readonly top: number;
}

/** Pixels of a picture are shown up to so many times as large. */
const MAX_ENLARGEMENT = 8;

/** The place of the picture. It never leaves a gap on one side while the other side is hidden. */
function placementOf({ level, x, y }: Zoom, frame: StageFrame): Placement {
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
function scaledBy(factor: number, zoom: Zoom, frame: StageFrame, point: Point): Zoom {
  const { fit, least, most } = limitsOf(frame);
  const scale = Math.min(Math.max(scaleOf(zoom.level, frame) * factor, least), most);
  return withLevel(Math.abs(scale / fit - 1) < 0.005 ? 'fit' : scale / fit, zoom, frame, point);
}

/** 100 %, with what is at the point where it is; or all of the picture again. */
function toggledZoom(zoom: Zoom, frame: StageFrame, point: Point): Zoom {
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
function panned(zoom: Zoom, frame: StageFrame, { x: right, y: down }: Point): Zoom {
  const { level, x, y, width, height } = placementOf(zoom, frame);
  return withinEdges({ level, x: x - right / width, y: y - down / height }, frame);
}

function withinEdges(zoom: Zoom, frame: StageFrame): Zoom {
  const { level, x, y } = placementOf(zoom, frame);
  return { level, x, y };
}

/** Whether part of the picture is off the stage. */
function isCut({ width, height }: Size, stage: Size): boolean {
  // The sizes are products of fractions.
  return width > stage.width + 0.5 || height > stage.height + 0.5;
}
