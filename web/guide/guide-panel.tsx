import { BookOpen, ExternalLink, X } from 'lucide-react';
import { type ReactNode, useEffect } from 'react';
import { Button } from '../ui/button.js';
import { loadedLater } from '../ui/loaded-later.js';
import { Store } from '../ui/store.js';
import type { GuidePageName } from './guide-pages.js';

/** Loaded when the guide is read. */
const GuideText = loadedLater(async () => (await import('./guide-text.js')).GuideText, { isLoadedAhead: false });

/** A page of the guide or a heading in it, such as `pairs#in-the-browser`. */
type GuidePlace = GuidePageName | `${GuidePageName}#${string}`;

const open = new Store<string>();

function show(place: string | undefined): void {
  open.set(place);
}

/** Opens the guide beside what it explains or, in another tab, as a page. */
export function GuideLink({ place, children }: { place: GuidePlace; children: ReactNode }) {
  return (
    <a
      href={`/guide/${place}`}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        show(place);
      }}
      className="inline-flex items-center gap-1.5 text-sm text-link"
    >
      <BookOpen size={14} aria-hidden /> {children}
    </a>
  );
}

/** The guide at the right of the window, while it is open. On a narrow window, it covers the page. */
export function GuidePanel() {
  const place = open.useValue();
  const isOpen = place !== undefined;
  useEffect(() => {
    if (!isOpen) return;
    document.documentElement.classList.add('has-guide');
    const close = ({ key }: KeyboardEvent) => key === 'Escape' && show(undefined);
    addEventListener('keydown', close);
    return () => {
      document.documentElement.classList.remove('has-guide');
      removeEventListener('keydown', close);
    };
  }, [isOpen]);
  if (place === undefined) return null;
  return (
    <aside
      aria-label="Guide"
      className="fixed inset-y-0 right-0 z-40 flex w-(--guide-width) max-w-full flex-col border-l border-line bg-panel"
    >
      <header className="flex items-center gap-1 border-b border-line px-4 py-1.5">
        <h2 className="mr-auto font-semibold">Guide</h2>
        <a
          href={`/guide/${place}`}
          target="_blank"
          rel="noreferrer"
          aria-label="Open in a tab"
          title="Open in a tab"
          className="inline-flex size-9 touch items-center justify-center rounded-lg hover:bg-raised"
        >
          <ExternalLink size={16} aria-hidden />
        </a>
        <Button kind="quiet" aria-label="Close the guide" autoFocus icon={X} onClick={() => show(undefined)} />
      </header>
      <section
        key={place.split('#')[0]}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolled by keyboard too
        tabIndex={0}
        aria-label="Text of the guide"
        className="grow overflow-y-auto px-4 py-4"
      >
        <GuideText place={place} onPlace={show} />
      </section>
    </aside>
  );
}
