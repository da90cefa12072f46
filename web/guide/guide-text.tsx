import { type MouseEvent, useEffect, useState } from 'react';
import { Button } from '../ui/button.js';
import './guide.css';
import { readGuidePage } from './guide-pages.js';

interface GuideTextProps {
  /** A page and a heading in it, such as `pairs#in-the-browser`; without a heading, its beginning. */
  readonly place: string;
  /** Called for a link to another place of the guide. */
  readonly onPlace: (place: string) => void;
}

/** The HTML of a page; `undefined` until it is loaded. */
function useGuidePage(name: string) {
  const [read, setRead] = useState<{ readonly name: string; readonly html: string | undefined }>();
  const [attempt, setAttempt] = useState(1);
  useEffect(() => {
    let isCurrent = attempt > 0;
    const set = (html: string | undefined) => isCurrent && setRead({ name, html });
    readGuidePage(name).then(set, () => set(undefined));
    return () => {
      isCurrent = false;
    };
  }, [name, attempt]);
  const shown = read?.name === name ? read : undefined;
  return {
    html: shown?.html,
    hasFailed: shown !== undefined && shown.html === undefined,
    retry: () => {
      setRead(undefined);
      setAttempt(attempt + 1);
    },
  };
}

/** A page of the guide, scrolled to one of its headings. */
export function GuideText({ place, onPlace }: GuideTextProps) {
  const [name = '', heading = ''] = place.split('#');
  const { html, hasFailed, retry } = useGuidePage(name);
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
  if (hasFailed) {
    return (
      <div role="alert" className="flex flex-wrap items-center gap-3 text-bad">
        The page could not be loaded. <Button onClick={retry}>Try again</Button>
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
