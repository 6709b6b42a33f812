function net = fcn32_init(varargin)
% FCN32_INIT  FCN-32s on VGG-16, as matconvnet-fcn has it

opts.url = 'http://www.vlfeat.org/matconvnet/models/imagenet-vgg-verydeep-16.mat' ;
opts.modelPath = fullfile('data', 'models', 'imagenet-vgg-verydeep-16.mat') ;
opts.numClasses = 21 ;
opts.cudnnWorkspaceLimit = 512 * 1024^2 ; % bytes
opts = vl_argparse(opts, varargin) ;

if ~exist(opts.modelPath, 'file')
  fprintf('%s: fetching %s\n', mfilename, opts.url) ;
  mkdir(fileparts(opts.modelPath)) ;
  urlwrite(opts.url, opts.modelPath) ;
end
net = vl_simplenn_tidy(load(opts.modelPath)) ;

% the importer has left dropout out: it comes back, after relu6 and relu7
drop = @(name) struct('type', 'dropout', 'name', name, 'rate', 0.5) ;
net.layers = [net.layers(1:33) drop('dropout1') net.layers(34:35) drop('dropout2') net.layers(36:end)] ;

net = dagnn.DagNN.fromSimpleNN(net, 'canonicalNames', true) ;

% pools round up as Caffe's do; fc6 keeps the size
%net.layers(1).block.pad = 100 ;
for l = [5 10 17 24 31]
  net.layers(l).block.pad = [0 1 0 1] ;
end
net.layers(32).block.pad = [3 3 3 3] ;

% biases learn twice as fast as their filters, but for the last layer's
for l = 1:numel(net.layers)-1
  if isa(net.layers(l).block, 'dagnn.Conv') && net.layers(l).block.hasBias
    f = net.getParamIndex(net.layers(l).params{1}) ;
    b = net.getParamIndex(net.layers(l).params{2}) ;
    net.params(b).learningRate = 2 * net.params(f).learningRate ;
  end
end

% fc8 starts anew, from nought, with our classes
for i = [1 2]
  p = net.getParamIndex(net.layers(end-1).params{i}) ;
  if i == 1
    sz = size(net.params(p).value) ;
    sz(end) = opts.numClasses ;
  else
    sz = [opts.numClasses 1] ;
  end
  net.params(p).value = zeros(sz, 'single') ;
  net.params(p).learningRate = i ;
end
net.layers(end-1).block.size = size(net.params(net.getParamIndex('fc8f')).value) ;

net.removeLayer('prob') ;
net.setLayerOutputs('fc8', {'x38'}) ;

filters = bilinear_u(64, opts.numClasses, opts.numClasses) ;
net.addLayer('deconv32', ...
  dagnn.ConvTranspose('size', size(filters), ...
                      'upsample', 32, ...
                      'crop', [16 16 16 16], ...
                      'numGroups', opts.numClasses, ...
                      'hasBias', false, ...
                      'opts', {'cudnnworkspacelimit', opts.cudnnWorkspaceLimit}), ...
  'x38', 'prediction', 'deconvf') ;
f = net.getParamIndex('deconvf') ;
net.params(f).value = filters ;
net.params(f).learningRate = 0 ;
net.params(f).weightDecay = 1 ;
net.vars(net.getVarIndex('prediction')).precious = 1 ;

net.addLayer('objective', SegmentationLoss('loss', 'softmaxlog'), {'prediction', 'label'}, 'objective') ;
net.addLayer('accuracy', SegmentationAccuracy(), {'prediction', 'label'}, 'accuracy') ;

if 0
  show_fields(net, 'input') ;
end

function show_fields(net, from)
fields = net.getVarReceptiveFields(from) ;
for v = 1:numel(net.vars)
  fprintf('%10s %s\n', net.vars(v).name, sprintf('%d ', fields(v).size)) ;
end
