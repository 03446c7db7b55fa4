// A server that speaks ordinary HTTP alone, on a port that the kernel chooses.

import { once } from 'node:events';
import http from 'node:http';

/** Its heirs say what it answers, `serve(request, response)`, and what a connection means, `connected(socket)`. */
export class HttpServer {
  static async start() {
    const server = new this();
    server.http = http.createServer((request, response) => server.serve(request, response));
    server.http.on('connection', socket => server.connected(socket));
    server.http.listen(0, '127.0.0.1');
    await once(server.http, 'listening');
    server.url = `ws://127.0.0.1:${server.http.address().port}`;
    return server;
  }

  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }
}
