import { QueryClient, useQuery } from '@tanstack/react-query';
import { type MouseEvent, useEffect } from 'react';
import { Button } from '../ui/button.js';
import './guide.css';
import { readGuidePage } from './guide-pages.js';

interface GuideTextProps {
  /** A page and a heading in it, such as `pairs#in-the-browser`; without a heading, its beginning. */
  readonly place: string;
  /** Called for a link to another place of the guide. */
  readonly onPlace: (place: string) => void;
}

/** Of their own: the guide is read without a session too. */
const queries = new QueryClient();

/** A page of the guide, scrolled to one of its headings. */
export function GuideText({ place, onPlace }: GuideTextProps) {
  const [name = '', heading = ''] = place.split('#');
  const page = { queryKey: [name], queryFn: () => readGuidePage(name), retry: false, networkMode: 'always' } as const;
  const { data: html, error, refetch } = useQuery({ ...page, staleTime: Number.POSITIVE_INFINITY }, queries);
  useEffect(() => {
    if (html !== undefined && heading !== '') document.getElementById(heading)?.scrollIntoView();
  }, [html, heading]);
  const follow = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !(event.target instanceof Element)) return;
    const href = event.target.closest('a')?.getAttribute('href') ?? '';
    if (!/^(\/guide\/|#)/.test(href)) return;
    event.preventDefault();
    onPlace(href.startsWith('#') ? name + href : href.slice('/guide/'.length));
  };
  if (error !== null) {
    return (
      <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
        The page could not be loaded. <Button onClick={() => void refetch()}>Try again</Button>
      </div>
    );
  }
  if (html === undefined) return <p aria-live="polite">Loading …</p>;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the links in it are clicked by keyboard too
    <article
      className="guide"
      onClick={follow}
      // biome-ignore lint/security/noDangerouslySetInnerHtml: made of docs/ by the build
      dangerouslySetInnerHTML={{ __html: html }}
    />
  );
}
