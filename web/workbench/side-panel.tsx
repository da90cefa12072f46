import { X } from 'lucide-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { Button } from '../ui/button.js';
import { useMedia, useStored } from '../ui/use-stored.js';

export type PanelName = 'tags' | 'inspector';

const STATES = ['open', 'folded'] as const;

/** Which panels beside the pairs are open: kept per browser, except on a narrow window, where all are closed at first. */
export function useSidePanels() {
  const isWide = useMedia('(min-width: 64rem)');
  const isVeryWide = useMedia('(min-width: 80rem)');
  const [tags, setTags] = useStored('trainyard-tags-panel', STATES, 'open');
  const [inspector, setInspector] = useStored('trainyard-inspector', STATES, isVeryWide ? 'open' : 'folded');
  const [drawer, setDrawer] = useState<PanelName>();
  const isOpen = { tags: tags === 'open', inspector: inspector === 'open' };
  return {
    isOpen: isWide ? isOpen : { tags: drawer === 'tags', inspector: drawer === 'inspector' },
    setOpen: (name: PanelName, opens: boolean) => {
      if (!isWide) return setDrawer(opens ? name : undefined);
      (name === 'tags' ? setTags : setInspector)(opens ? 'open' : 'folded');
    },
    /** On a narrow window, an open panel covers the pairs. */
    areDrawers: !isWide,
  };
}

export type SidePanels = ReturnType<typeof useSidePanels>;

interface SidePanelProps {
  readonly name: PanelName;
  readonly label: string;
  readonly panels: SidePanels;
  readonly children: ReactNode;
}

const SIDES: Record<PanelName, { wide: string; drawer: string }> = {
  tags: { wide: 'w-65 border-r', drawer: 'left-0 border-r' },
  inspector: { wide: 'w-85 border-l', drawer: 'right-0 border-l' },
};

/** A panel left or right of the pairs, which scrolls by itself; on a narrow window, a drawer over them. */
export function SidePanel({ name, label, panels, children }: SidePanelProps) {
  const { areDrawers, isOpen, setOpen } = panels;
  const panel = useRef<HTMLElement>(null);
  const isDrawer = areDrawers && isOpen[name];
  // As a dialog does: the focus goes into the drawer, whose key Escape closes it, and back.
  useEffect(() => {
    const before = document.activeElement;
    // A caption in it may have the caret.
    if (!isDrawer || panel.current?.contains(before)) return;
    panel.current?.focus();
    return () => (before instanceof HTMLElement ? before.focus() : undefined);
  }, [isDrawer]);
  if (!isOpen[name]) return null;
  const close = () => setOpen(name, false);
  const place = areDrawers
    ? `fixed inset-y-0 z-30 w-85 max-w-[90vw] shadow-lg ${SIDES[name].drawer}`
    : `sticky top-23 h-[calc(100dvh-5.75rem)] shrink-0 ${SIDES[name].wide}`;
  return (
    <>
      {areDrawers && <div aria-hidden className="fixed inset-0 z-20 bg-black/40" onClick={close} />}
      <aside
        ref={panel}
        tabIndex={-1}
        aria-label={label}
        onKeyDown={(event) => {
          if (!areDrawers || event.key !== 'Escape' || event.defaultPrevented) return;
          event.stopPropagation();
          close();
        }}
        className={`flex flex-col gap-4 overflow-y-auto border-line bg-panel p-3 text-sm outline-none [&>section]:rounded-none [&>section]:border-0 [&>section]:bg-transparent [&>section]:p-0 [&>section+section]:border-t [&>section+section]:pt-4 ${place}`}
      >
        {areDrawers && (
          <div className="flex items-center">
            <h2 className="mr-auto text-base font-semibold">{label}</h2>
            <Button icon={X} kind="quiet" aria-label={`Close ${label}`} onClick={close} />
          </div>
        )}
        {children}
      </aside>
    </>
  );
}
