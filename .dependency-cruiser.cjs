// Who may import whom: the table of docs/design.md section 1. test/tidy.test.ts plants bad imports
// to see them caught, and fails when a folder of src/ is missing here.
const API = ['base', 'telemetry', 'exchange', 'dispatch', 'policy', 'identity', 'object'];

const MAY = {
  base: [],
  telemetry: ['base'],
  config: ['base'],
  exchange: ['base'],
  policy: ['base'],
  native: ['base'],
  signature: ['base', 'exchange', 'native'],
  drive: ['base', 'telemetry', 'native'],
  identity: ['base', 'telemetry', 'policy'],
  dispatch: ['base', 'telemetry', 'exchange', 'signature', 'policy', 'identity'],
  http: ['base', 'telemetry', 'exchange'],
  erasure: ['base', 'telemetry', 'drive'],
  journal: ['base', 'telemetry', 'drive'],
  catalog: ['base', 'telemetry', 'native'],
  pool: ['base', 'telemetry', 'erasure', 'native'],
  object: ['base', 'telemetry', 'erasure', 'journal', 'catalog'],
  gateway: ['base', 'telemetry', 'object'],
  etcd: ['base', 'telemetry', 'identity'],
  console: ['base', 'telemetry', 'exchange', 'identity'],
  s3: API,
  sts: API.filter((room) => room !== 'object'),
  admin: [...API, 'config'],
  cli: ['base', 'config', 'wiring'],
  // Wiring joins all rooms but its three callers.
  wiring: [
    ...['base', 'telemetry', 'config', 'exchange', 'policy', 'native', 'signature', 'drive', 'identity', 'dispatch'],
    ...['http', 'erasure', 'journal', 'catalog', 'pool', 'object', 'gateway', 'etcd', 'console', 's3', 'sts', 'admin'],
  ],
};

const only = (name, path, rooms, file = '^$') => ({
  name,
  severity: 'error',
  from: { path: '^src/', pathNot: [`^src/(${rooms})/`, file] },
  to: { path },
});

const vendor = (name) => `(^|/)node_modules/${name}(/|$)|^${name}$`;

module.exports = {
  forbidden: [
    ...Object.entries(MAY).map(([room, allowed]) => ({
      name: `${room}-imports`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
    })),
    {
      name: 'main-imports',
      severity: 'error',
      from: { path: '^src/main[.]ts$' },
      to: { path: '^src/', pathNot: ['^src/(base|cli|wiring)/', '^src/process-limits[.]ts$'] },
    },
    {
      name: 'index-imports',
      severity: 'error',
      from: { path: '^src/index[.]ts$' },
      to: { path: '^src/', pathNot: '^src/(base|wiring)/' },
    },
    {
      name: 'use-the-door',
      severity: 'error',
      from: { path: '^src/([^/]+)/', pathNot: '^src/pool/tasks/' },
      to: { path: '^src/[^/]+/.', pathNot: ['^src/$1/', '^src/[^/]+/index[.]ts$'] },
    },
    {
      name: 'front-uses-the-door',
      severity: 'error',
      from: { path: '^src/(main|index)[.]ts$' },
      to: { path: '^src/[^/]+/.', pathNot: '^src/[^/]+/index[.]ts$' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: { path: '^src/' }, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    only('uws-in-http', vendor('uWebSockets[.]js'), 'http'),
    // Beside the rooms that speak to others, the one file that sends log and audit entries out.
    only(
      'node-http-in-http',
      '^(node:)?(http|https|http2|net|tls)$',
      'http|identity|gateway|etcd',
      '^src/telemetry/webhook[.]ts$',
    ),
    only('piscina-in-pool', vendor('piscina'), 'pool'),
    only('pino-in-telemetry', vendor('pino'), 'telemetry'),
    only('commander-in-cli', vendor('commander'), 'cli'),
    // The front reads the certificate that it listens with, and nothing else; the entry what it may have.
    only(
      'fs-in-drive',
      '^(node:)?fs(/promises)?$',
      'drive|config|catalog',
      '^src/(http/certificate|process-limits)[.]ts$',
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
