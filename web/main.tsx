import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { keepFocus } from './keep-focus.js';
import { rememberSequences } from './keys.js';
import { Root } from './root.js';
import { startSession } from './session/session.js';
import './style.css';
import { applyTheme } from './ui/theme.js';

startSession();
applyTheme();
keepFocus();
rememberSequences();
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Root />
  </StrictMode>,
);
