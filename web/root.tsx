import { lazy, type ReactNode, Suspense } from 'react';
import { Link, Route, Switch, useRoute } from 'wouter';
import { AccountPage } from './account/account-page.js';
import { DraftSaving, UnsavedCaptions } from './captions/editing/unsaved-captions.js';
import { DatasetPage } from './dataset/dataset-page.js';
import { DatasetsPage } from './datasets/datasets-page.js';
import { Frame } from './frame.js';
import { GuidePanel } from './guide/guide-panel.js';
import { useKeptScroll } from './keep-scroll.js';
import { Live } from './live/live.js';
import { ClientProvider } from './session/client.js';
import { useSession, useSignedIn } from './session/session.js';
import { SignInPage } from './session/sign-in-page.js';
import { SwitchSessionDialog } from './session/switch-session-dialog.js';
import { UndoMessage } from './undo/undo-message.js';
import { SharedPage } from './shared/shared-page.js';
import { AddFilesProvider } from './upload/add-files/add-files.js';
import { Dock } from './upload/dock/dock.js';

/** Loaded when the guide is read. */
const GuidePage = lazy(async () => ({ default: (await import('./guide/guide-page.js')).GuidePage }));

/** The root component: the sign-in page, or the page that the address names. */
export function Root() {
  const [isShared, shared] = useRoute('/shared/datasets/:id/:view?');
  return isShared ? <SharedPage key={shared.id} id={shared.id} view={shared.view ?? 'files'} /> : <OwnPages />;
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
          <BottomBar>
            <UnsavedCaptions />
          </BottomBar>
        </>
      ) : (
        <ClientProvider key={signedIn.id} session={signedIn.id}>
          <Live />
          <DraftSaving />
          <AddFilesProvider>
            <Frame>
              <Switch>
                <Route path="/" component={DatasetsPage} />
                <Route path="/account" component={AccountPage} />
                <Route path="/datasets/:id/:view?">
                  {({ id, view }) => <DatasetPage key={id} id={id} view={view ?? 'files'} />}
                </Route>
                <Route path="/guide/:name?">{({ name }) => <Guide name={name} />}</Route>
                <Route>
                  <p>Page not found.</p>
                </Route>
              </Switch>
            </Frame>
          </AddFilesProvider>
          <BottomBar>
            <UndoMessage />
            <UnsavedCaptions />
          </BottomBar>
        </ClientProvider>
      )}
      {signedIn !== undefined && offered !== undefined && <SwitchSessionDialog current={signedIn} offered={offered} />}
      <Dock />
      <GuidePanel />
    </>
  );
}

function Guide({ name }: { name: string | undefined }) {
  return (
    <Suspense>
      <GuidePage name={name} />
    </Suspense>
  );
}

function SignedOutGuide({ name }: { name: string | undefined }) {
  return (
    <main className="flex flex-col gap-4 p-4">
      <Link href="/" className="flex touch items-center gap-2 self-start font-semibold">
        <img src="/favicon.svg" alt="" className="size-6" /> trainyard
      </Link>
      <Guide name={name} />
    </main>
  );
}

/** Stays at the bottom of the window, above the dock. */
function BottomBar({ children }: { children: ReactNode }) {
  return <div className="sticky bottom-(--dock-height,0) z-10">{children}</div>;
}
