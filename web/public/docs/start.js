// By default the reference contacts other hosts for fonts, a proxy and telemetry.
globalThis.Scalar.createApiReference('#app', {
  url: '/openapi.json',
  withDefaultFonts: false,
  proxyUrl: '',
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  // As the page does: the cookie of the session counts only with this header.
  onBeforeRequest: ({ request }) => {
    if (new URL(request.url).origin === location.origin) request.headers.set('trainyard-page', '1');
  },
});
