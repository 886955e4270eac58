// A server whose main thread is watched: the longest stretch of its own CPU time between two turns of the
// event loop. An immediate runs once a turn, after all callbacks of the poll phase; one that is not referenced
// does not keep the loop from waiting, so that it waits and works as it does without the probe.
//
//   node probed-server.mjs FOLDER ACCESS_KEY SECRET_KEY   (with an IPC channel)
import { createServer } from '../../dist/index.js';
import { io } from '../../dist/native/index.js';

const [folder, accessKey, secretKey] = process.argv.slice(2);
const server = await createServer({
  drives: [1, 2, 3, 4].map((n) => `${folder}/drive${n}`),
  host: '127.0.0.1',
  credentials: { accessKey, secretKey },
});

let longestMicros = 0;
let before = io.threadCpuMicros();
let isOver = false;
function turn() {
  const now = io.threadCpuMicros();
  longestMicros = Math.max(longestMicros, now - before);
  before = now;
  if (!isOver) setImmediate(turn).unref();
}
turn();

process.on('message', (message) => {
  const longestMs = longestMicros / 1000;
  if (message === 'reset') {
    longestMicros = 0;
    before = io.threadCpuMicros();
  }
  process.send({ longestMs });
});
process.on('SIGTERM', async () => {
  isOver = true;
  await server.close(1000);
  process.exit(0);
});
process.send({ port: server.port });
