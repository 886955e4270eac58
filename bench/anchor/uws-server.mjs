// The anchor of GETs: uWebSockets.js alone, on a free port, which it prints. `/hello` answers a few bytes;
// every other path answers BYTES from memory, in pieces of at most 1 MiB, at the client's pace. It does nothing
// else: no header is read, no signature, no look-up, no file, no check.
//
//   node uws-server.mjs BYTES
import { createRequire } from 'node:module';

process.env.UWS_HTTP_MAX_HEADERS_SIZE = '65536';
const uws = createRequire(import.meta.url)('uWebSockets.js');

const total = Number(process.argv[2]);
const pieceBytes = 1 << 20;
const memory = new Uint8Array(new SharedArrayBuffer(Math.max(1, Math.min(total, 64 * pieceBytes))));
for (let i = 0; i < memory.length; i++) memory[i] = i;

function send(res) {
  let isGone = false;
  res.onAborted(() => {
    isGone = true;
  });
  const pump = () => {
    for (;;) {
      const at = res.getWriteOffset();
      const piece = memory.subarray(
        at % memory.length,
        Math.min((at % memory.length) + pieceBytes, (at % memory.length) + total - at),
      );
      let ok = false;
      let done = false;
      res.cork(() => {
        [ok, done] = res.tryEnd(piece, total);
      });
      if (done) return true;
      if (!ok) return false;
    }
  };
  res.onWritable(() => (isGone ? true : pump()));
  pump();
}

uws
  .App()
  .get('/hello', (res) => {
    res.end('hello world');
  })
  .any('/*', send)
  .listen('127.0.0.1', 0, (socket) => {
    console.log(JSON.stringify({ port: uws.us_socket_local_port(socket) }));
  });
