/**
 * exchange: one request and one answer as plain data, known to both the HTTP front and the protocols.
 * Bodies stream; every chunk has one owner at a time, said beside it.
 */
export type {
  BodySink,
  BodySource,
  ExchangeHandler,
  ExchangeRequest,
  ExchangeResponse,
  ResponseBody,
} from './exchange.js';
export { AnswerInstead } from './answer-instead.js';
export { HeaderMap } from './header-map.js';
export { AllHeaders, SharedHeaders, headersOf, requestIdHeader, type HeaderPairs } from './shared-headers.js';
export type { Piece, PieceSource } from '../base/index.js';
