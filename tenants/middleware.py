def WorkspaceMiddleware(get_response):
    return get_response
