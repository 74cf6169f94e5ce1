extension S3Store {
    package func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload {
        var request = try object("POST", key)
        request.query = [HTTPHeader("uploads", "")]
        request.body = []
        let reply = try send(request)
        guard let root = XMLScanner.parse(reply.body), let id = root.text("UploadId"), !id.isEmpty else {
            throw .badAnswer(key: key, reason: "the answer to a new upload has no UploadId")
        }
        return MultipartUpload(key: key, uploadID: id)
    }

    package func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart
    {
        precondition(MultipartUpload.partNumbers.contains(number), "part numbers are 1 to 10,000")
        var request = try object("PUT", upload.key)
        request.query = [HTTPHeader("partNumber", String(number)), HTTPHeader("uploadId", upload.uploadID)]
        request.body = body
        return UploadedPart(number: number, etag: try S3Answer.etag(try send(request), key: upload.key))
    }

    package func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag {
        let list = try parts.inOrder(key: upload.key).map { part in
            "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(xmlEscaped(part.etag.quoted))</ETag></Part>"
        }
        var request = try object("POST", upload.key)
        request.query = [HTTPHeader("uploadId", upload.uploadID)]
        request.headers.append(HTTPHeader("Content-Type", "application/xml"))
        request.body = Array(
            """
            <CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\(list.joined())\
            </CompleteMultipartUpload>
            """.utf8)
        let reply = try send(request)
        // The status is sent before the work is done, so that a failure may come as 200 with an Error in it.
        guard let root = XMLScanner.parse(reply.body) else {
            throw .badAnswer(key: upload.key, reason: "the answer to a completed upload is not XML")
        }
        if root.name == "Error" {
            throw S3Fault(status: 500, root: root, headers: reply.headers).storeError(for: request, at: location)
        }
        guard root.name == "CompleteMultipartUploadResult" else {
            throw .badAnswer(key: upload.key, reason: "`\(root.name)` is no answer to a completed upload")
        }
        // Ceph RGW 16 leaves the ETag empty.
        guard let etag = root.text("ETag"), !etag.isEmpty else { return try head(upload.key).etag }
        return ETag(quoted: etag)
    }

    package func abortUpload(_ upload: MultipartUpload) throws(StoreError) {
        var request = try object("DELETE", upload.key)
        request.query = [HTTPHeader("uploadId", upload.uploadID)]
        do throws(StoreError) {
            _ = try send(request)
        } catch .notFound {
        }
    }
}
