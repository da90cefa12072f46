import { Route, Switch } from 'wouter';
import { UnsavedCaptions } from './captions/editing/unsaved-captions.js';
import { DatasetPage } from './dataset/dataset-page.js';
import { DatasetsPage } from './datasets/datasets-page.js';
import { Frame } from './frame.js';
import { Live } from './live/live.js';
import { ClientProvider } from './session/client.js';
import { useSession } from './session/session.js';
import { SignInPage } from './session/sign-in-page.js';
import { AddFilesProvider } from './upload/add-files/add-files.js';
import { Dock } from './upload/dock/dock.js';

/** The root component: the sign-in page, or the page that the address names. */
export function Root() {
  const { token } = useSession();
  return (
    <>
      {token === undefined ? (
        <SignInPage />
      ) : (
        <ClientProvider token={token}>
          <Live />
          <AddFilesProvider>
            <Frame>
              <Switch>
                <Route path="/" component={DatasetsPage} />
                <Route path="/datasets/:id/:view?">
                  {({ id, view }) => <DatasetPage key={id} id={id} view={view ?? 'files'} />}
                </Route>
                <Route>
                  <p>Page not found.</p>
                </Route>
              </Switch>
            </Frame>
          </AddFilesProvider>
        </ClientProvider>
      )}
      <UnsavedCaptions />
      <Dock />
    </>
  );
}
