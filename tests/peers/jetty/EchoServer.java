import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.api.WebSocketAdapter;
import org.eclipse.jetty.websocket.api.WebSocketPolicy;
import org.eclipse.jetty.websocket.server.WebSocketHandler;
import org.eclipse.jetty.websocket.servlet.WebSocketServletFactory;

/** A WebSocket server that echoes; prints its port. {@code close CODE REASON} closes,
 *  {@code told QUERY} tells how the session opened with that query closed. */
public final class EchoServer {
    private static final int LARGEST = 16 << 20;
    private static final Map<String, CompletableFuture<String>> CLOSES = new ConcurrentHashMap<>();

    public static void main(String[] arguments) throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        server.addConnector(connector);
        server.setHandler(new WebSocketHandler() {
            @Override
            public void configure(WebSocketServletFactory factory) {
                WebSocketPolicy policy = factory.getPolicy();
                policy.setMaxTextMessageSize(LARGEST);
                policy.setMaxBinaryMessageSize(LARGEST);
                factory.setCreator((request, response) -> {
                    List<String> offered = request.getSubProtocols();
                    if (!offered.isEmpty()) {
                        response.setAcceptedSubProtocol(offered.get(offered.size() - 1));
                    }
                    return new Echo(String.valueOf(request.getQueryString()));
                });
            }
        });
        server.start();
        System.out.println(connector.getLocalPort());
    }

    private static CompletableFuture<String> closeOf(String query) {
        return CLOSES.computeIfAbsent(query, unseen -> new CompletableFuture<>());
    }

    private static final class Echo extends WebSocketAdapter {
        private final String query;

        Echo(String query) {
            this.query = query;
        }

        @Override
        public void onWebSocketText(String text) {
            Session session = getSession();
            if (text.startsWith("close ")) {
                String[] words = text.split(" ", 3);
                session.close(Integer.parseInt(words[1]), words[2]);
                return;
            }
            String answer = text.startsWith("told ") ? told(text.substring(5)) : text;
            send(() -> session.getRemote().sendString(answer));
        }

        @Override
        public void onWebSocketBinary(byte[] payload, int offset, int length) {
            Session session = getSession();
            send(() -> session.getRemote().sendBytes(ByteBuffer.wrap(payload, offset, length)));
        }

        @Override
        public void onWebSocketClose(int code, String reason) {
            closeOf(query).complete(code + " " + (reason == null ? "" : reason));
            super.onWebSocketClose(code, reason);
        }

        private static String told(String query) {
            try {
                return closeOf(query).get(10, TimeUnit.SECONDS);
            } catch (Exception late) {
                return late.toString();
            }
        }

        private static void send(Sending sending) {
            try {
                sending.run();
            } catch (IOException lost) {
                // The session is over; its close says so.
            }
        }
    }

    private interface Sending {
        void run() throws IOException;
    }
}
