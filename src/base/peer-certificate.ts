/** What a client proved to be in the TLS handshake, as far as the listener can tell. */
export interface PeerCertificate {
  /** The certificate whose key the client has, in DER. */
  readonly raw: Uint8Array;
  /** Between it and the authority at the end of its chain. */
  readonly intermediateCount: number;
  /** Empty: its chain ends in an authority that the listener trusts; else why it does not. */
  readonly distrust: string;
}
