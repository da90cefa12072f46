// As ui/theme.ts: the theme that was chosen on the page, or the theme of the system.
const chosen = localStorage.getItem('trainyard-theme');
const systemTheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
const theme = chosen === 'light' || chosen === 'dark' ? chosen : systemTheme;

// By default the reference contacts other hosts for fonts, a proxy and telemetry.
globalThis.Scalar.createApiReference('#app', {
  url: '/openapi.json',
  withDefaultFonts: false,
  proxyUrl: '',
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  forceDarkModeState: theme,
  hideDarkModeToggle: true,
  showDeveloperTools: 'never',
  hideClientButton: true,
  customCss: 'a[href="https://www.scalar.com"] { display: none }',
  // As the page does: the cookie of the session counts only with this header.
  onBeforeRequest: ({ request }) => {
    if (new URL(request.url).origin === location.origin) request.headers.set('trainyard-page', '1');
  },
});
