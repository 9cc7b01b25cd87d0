/** The module that a worker runs; see `WorkerPreparer`. */
import { type WorkerReply, type WorkerRequest, type WorkerSetup, WorkerSide } from "./preparer.ts";

/** What of a worker's global scope is used. */
interface WorkerScope {
  onmessage: (event: MessageEvent<WorkerSetup | WorkerRequest>) => void;
  postMessage(reply: WorkerReply, transfer: ArrayBuffer[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let side: WorkerSide | undefined;

scope.onmessage = ({ data }) => {
  if ("parts" in data) side = new WorkerSide(data, (...reply) => scope.postMessage(...reply));
  else void side?.answer(data);
};
