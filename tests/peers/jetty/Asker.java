// Java's own HTTP client, as it is without settings: it offers HTTP/2 by Upgrade with every request.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

public class Asker {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        var publishers = new HttpRequest.BodyPublisher[] {
            null,
            BodyPublishers.ofString("hello"),
            // Of no known length: sent in chunks.
            BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream("in chunks".getBytes())),
            BodyPublishers.ofByteArray(new byte[3_000_000]),
        };
        for (var publisher : publishers) {
            var request = HttpRequest.newBuilder(URI.create(args[0])).timeout(Duration.ofSeconds(20));
            if (publisher != null) request.POST(publisher);
            var answer = client.send(request.build(), BodyHandlers.ofString());
            System.out.println(answer.version() + " " + answer.statusCode() + " " + answer.body());
        }
    }
}
