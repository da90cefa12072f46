import type { ReactNode } from 'react';
import { Link, Route, Router, Switch, useRoute } from 'wouter';
import { useSearch } from 'wouter/use-browser-location';
import { DraftSaving, UnsavedCaptions } from './captions/editing/unsaved-captions.js';
import { RunMessage } from './captioning/run-message.js';
import { DatasetPage } from './dataset/dataset-page.js';
import { FIRST_VIEW } from './dataset/dataset-views.js';
import { DatasetsPage } from './datasets/datasets-page.js';
import { Frame } from './frame.js';
import { GuidePanel } from './guide/guide-panel.js';
import { useKeptScroll } from './keep-scroll.js';
import { Palette } from './palette.js';
import { Live } from './live/live.js';
import { ClientProvider } from './session/client.js';
import { useSession, useSignedIn } from './session/session.js';
import { SignInPage } from './session/sign-in-page.js';
import { SwitchSessionDialog } from './session/switch-session-dialog.js';
import { UndoMessage } from './undo/undo-message.js';
import { SharedPage } from './shared/shared-page.js';
import { AddedFiles } from './upload/add-files/add-files.js';
import { DropTarget } from './upload/add-files/drop-target.js';
import { loadedLater } from './ui/loaded-later.js';
import { SkipLink } from './ui/page-body.js';
import { useTitle } from './ui/use-title.js';
import { Dock } from './upload/dock.js';

const AccountPage = loadedLater(async () => (await import('./account/account-page.js')).AccountPage);

/** Loaded when the guide is read. */
const GuidePage = loadedLater(async () => (await import('./guide/guide-page.js')).GuidePage, { isLoadedAhead: false });

/** The root component: the sign-in page, or the page that the address names. */
export function Root() {
  const [isShared, shared] = useRoute('/shared/datasets/:id/:view?');
  return (
    <Router searchHook={useEscapedSearch}>
      {isShared ? <SharedPage key={shared.id} id={shared.id} view={shared.view ?? FIRST_VIEW} /> : <OwnPages />}
    </Router>
  );
}

/** The router unescapes a query before its parameters are parsed, which unescapes them once more (wouter, paths.js, sanitizeSearch). */
function useEscapedSearch(): string {
  return useSearch().replaceAll('%25', '%2525');
}

function OwnPages() {
  const { current, offered } = useSession();
  const signedIn = useSignedIn();
  useKeptScroll();
  const [isGuide, guide] = useRoute('/guide/:name?');
  if (current === 'unknown') return null;
  return (
    <>
      {signedIn === undefined ? (
        <>
          {isGuide ? <SignedOutGuide name={guide.name} /> : <SignInPage />}
          <Messages>
            <UnsavedCaptions />
          </Messages>
        </>
      ) : (
        <ClientProvider key={signedIn.id} session={signedIn.id}>
          <Live />
          <DraftSaving />
          <div className="flex min-h-dvh flex-col">
            <SkipLink />
            <Switch>
              <Route path="/datasets/:id/:view?">
                {({ id, view }) => <DatasetPage key={id} id={id} view={view ?? FIRST_VIEW} />}
              </Route>
              <Route path="/guide/:name?">{({ name }) => framed(<GuidePage name={name} />)}</Route>
              <Route path="/">{framed(<DatasetsPage />)}</Route>
              <Route path="/account">{framed(<AccountPage />)}</Route>
              <Route>{framed(<PageNotFound />)}</Route>
            </Switch>
          </div>
          <AddedFiles />
          <DropTarget />
          <Palette />
          <Messages>
            <RunMessage />
            <UndoMessage />
            <UnsavedCaptions />
          </Messages>
        </ClientProvider>
      )}
      {signedIn !== undefined && offered !== undefined && <SwitchSessionDialog current={signedIn} offered={offered} />}
      <Dock />
      <GuidePanel />
    </>
  );
}

function SignedOutGuide({ name }: { name: string | undefined }) {
  return (
    <main className="flex flex-col gap-4 p-4">
      <Link href="/" className="flex touch items-center gap-2 self-start font-semibold">
        <img src="/favicon.svg" alt="" className="size-6" /> trainyard
      </Link>
      <GuidePage name={name} />
    </main>
  );
}

function framed(page: ReactNode) {
  return <Frame>{page}</Frame>;
}

function PageNotFound() {
  useTitle('Page not found');
  return (
    <>
      <h1 className="text-xl font-semibold">Page not found</h1>
      <p>
        There is nothing at this address.{' '}
        <Link href="/" className="py-1 underline">
          All datasets
        </Link>
      </p>
    </>
  );
}

/** Cards in the lower right corner of the window, above the dock. */
function Messages({ children }: { children: ReactNode }) {
  return (
    <div className="pointer-events-none fixed right-4 bottom-[calc(var(--dock-height,0px)+1rem)] z-20 flex w-90 max-w-[calc(100vw-2rem)] flex-col gap-2 *:pointer-events-auto">
      {children}
    </div>
  );
}
