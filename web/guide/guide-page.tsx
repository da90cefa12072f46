import { useEffect } from 'react';
import { Link, useLocation } from 'wouter';
import { useTitle } from '../ui/use-title.js';
import { GUIDE_PAGES } from './guide-pages.js';
import { GuideText } from './guide-text.js';

/** The whole guide: its pages beside the one that the address names. */
export function GuidePage({ name = 'start' }: { name?: string | undefined }) {
  const [, navigate] = useLocation();
  const page = GUIDE_PAGES.find((each) => each.name === name);
  useTitle('Guide', page?.title);
  useEffect(() => {
    // The list of pages scrolls sideways on a phone.
    document.querySelector('nav [aria-current=page]')?.scrollIntoView({ block: 'nearest' });
  }, []);
  return (
    <div className="mx-auto flex w-full max-w-5xl gap-8 max-md:flex-col max-md:gap-4">
      <nav
        aria-label="Pages of the guide"
        className="flex shrink-0 flex-col gap-px text-sm max-md:flex-row max-md:overflow-x-auto md:sticky md:top-16 md:w-44 md:self-start"
      >
        {GUIDE_PAGES.map((each) => (
          <Link
            key={each.name}
            href={`/guide/${each.name}`}
            aria-current={each.name === name ? 'page' : undefined}
            className="touch shrink-0 content-center rounded-lg px-3 py-1.5 hover:bg-raised aria-[current=page]:bg-raised aria-[current=page]:font-medium"
          >
            {each.title}
          </Link>
        ))}
      </nav>
      <div className="min-w-0 grow">
        {page === undefined ? (
          <p>The guide has no page “{name}”.</p>
        ) : (
          <GuideText place={name + location.hash} onPlace={(place) => navigate(`/guide/${place}`)} />
        )}
      </div>
    </div>
  );
}
