// By default the reference contacts other hosts for fonts, a proxy and telemetry.
globalThis.Scalar.createApiReference('#app', {
  url: '/openapi.json',
  withDefaultFonts: false,
  proxyUrl: '',
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
});
